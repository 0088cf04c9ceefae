"""Lists users page by page and sets one's password, through the unmodified Microsoft Graph SDK.

Reads its setup from standard input; prints {"listed": n} for the test to judge.
"""

import asyncio
import json
import sys

from azure.identity.aio import ClientSecretCredential
from kiota_authentication_azure.azure_identity_authentication_provider import (
    AzureIdentityAuthenticationProvider,
)
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.password_profile import PasswordProfile
from msgraph.generated.models.user import User
from msgraph.generated.users.users_request_builder import UsersRequestBuilder


def client(credential, base):
    provider = AzureIdentityAuthenticationProvider(
        credential, scopes=[f"{base}/.default"], allowed_hosts=["127.0.0.1"]
    )
    adapter = GraphRequestAdapter(provider)
    adapter.base_url = f"{base}/v1.0"
    return GraphServiceClient(request_adapter=adapter)


async def all_users(graph):
    query = UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(
        select=["id", "userPrincipalName"], top=50
    )
    options = UsersRequestBuilder.UsersRequestBuilderGetRequestConfiguration(
        query_parameters=query
    )
    page = await graph.users.get(request_configuration=options)
    users = list(page.value)
    while page.odata_next_link:
        page = await graph.users.with_url(page.odata_next_link).get()
        users += page.value
    return users


async def main(setup):
    async with ClientSecretCredential(
        setup["tenant"],
        setup["client_id"],
        setup["client_secret"],
        authority=setup["base"],
        disable_instance_discovery=True,
    ) as credential:
        graph = client(credential, setup["base"])
        users = await all_users(graph)
        account = next(u for u in users if u.user_principal_name == setup["upn"])
        profile = PasswordProfile(
            password=setup["password"], force_change_password_next_sign_in=False
        )
        await graph.users.by_user_id(account.id).patch(User(password_profile=profile))
    print(json.dumps({"listed": len(users)}))


asyncio.run(main(json.load(sys.stdin)))
