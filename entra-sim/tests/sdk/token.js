// Signs in through the unmodified MSAL for Node and prints the claims of the access token, or
// {"refused": message}. With user name and password in the setup as that user, else as the app.

const { ConfidentialClientApplication } = require("@azure/msal-node");

function claims(token) {
  return JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());
}

async function main() {
  const setup = JSON.parse(require("fs").readFileSync(0, "utf8"));
  const app = new ConfidentialClientApplication({
    auth: {
      clientId: setup.client_id,
      clientSecret: setup.client_secret,
      authority: `${setup.base}/${setup.tenant}`,
      knownAuthorities: [new URL(setup.base).host],
    },
  });
  const scopes = [`${setup.base}/.default`];
  const { username, password } = setup;
  const answer = username
    ? app.acquireTokenByUsernamePassword({ scopes, username, password })
    : app.acquireTokenByClientCredential({ scopes });
  const outcome = await answer.then(
    (result) => claims(result.accessToken),
    (error) => ({ refused: error.message }),
  );
  console.log(JSON.stringify(outcome));
}

main();
