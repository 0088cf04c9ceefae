"""The loop that a user of Microsoft's SDK for Python writes: set every password, so many requests at once.

It keeps nothing and makes no password: both come ready through standard input, as benches/harness/setup.rs says.
"""

import asyncio
import json
import sys
import time

from azure.core.credentials import AccessToken
from kiota_authentication_azure.azure_identity_authentication_provider import (
    AzureIdentityAuthenticationProvider,
)
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.password_profile import PasswordProfile
from msgraph.generated.models.user import User


class Ready:
    """A token made before: azure-identity signs in over HTTPS only."""

    def __init__(self, token):
        self.token = AccessToken(token, int(time.time()) + 3600)

    async def get_token(self, *scopes, **options):
        return self.token

    async def close(self):
        pass


def client(credential, base):
    provider = AzureIdentityAuthenticationProvider(
        credential, scopes=[f"{base}/.default"], allowed_hosts=["127.0.0.1"]
    )
    adapter = GraphRequestAdapter(provider)
    adapter.base_url = f"{base}/v1.0"
    return GraphServiceClient(request_adapter=adapter)


async def rotate(graph, targets):
    for target in targets:
        profile = PasswordProfile(
            password=target["password"], force_change_password_next_sign_in=False
        )
        await graph.users.by_user_id(target["id"]).patch(User(password_profile=profile))


async def main(setup, targets):
    directory = setup["directory"]
    graph = client(Ready(directory["token"]), directory["base_url"])
    print("ready", flush=True)
    if sys.stdin.readline() != "go\n":
        sys.exit("nobody said go")
    left = iter(targets)
    await asyncio.gather(*(rotate(graph, left) for _ in range(setup["concurrency"])))
    print(json.dumps({"rotated": len(targets)}), flush=True)
    # our parent looks at what we used until it closes our input
    sys.stdin.read()


setup = json.loads(sys.stdin.readline())
targets = [json.loads(sys.stdin.readline()) for _ in range(setup["accounts"])]
asyncio.run(main(setup, targets))
