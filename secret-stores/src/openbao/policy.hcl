# What a run may do. It reads no password: `data/rotation/passwords` has neither `read` nor `update`.
path "secret/data/rotation/passwords/*" {
  capabilities = ["create"]
}
# `delete` removes what the directory refused, and what is pruned.
path "secret/metadata/rotation/passwords/*" {
  capabilities = ["read", "list", "delete"]
}
path "secret/data/rotation/accounts/*" {
  capabilities = ["create", "read", "update"]
}
path "secret/metadata/rotation/accounts/*" {
  capabilities = ["list"]
}
path "secret/data/rotation/leases/*" {
  capabilities = ["create", "read", "update"]
}
path "secret/metadata/rotation/leases/*" {
  capabilities = ["delete"]
}
path "secret/data/rotation/pending/*" {
  capabilities = ["create", "read"]
}
path "secret/metadata/rotation/pending/*" {
  capabilities = ["list", "delete"]
}
