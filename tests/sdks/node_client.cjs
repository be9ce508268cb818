// Call every SCIM operation of the JavaScript SDK on a simulator.
// Usage: node node_client.cjs SDK_FOLDER API_URL CLIENT_ID CLIENT_SECRET. Prints one JSON object for each answer.
"use strict";

const [folder, api, id, secret] = process.argv.slice(2);
const sdk = require(`${folder}/node_modules/purecloud-platform-client-v2`);

const PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const GENESYS = "urn:ietf:params:scim:schemas:extension:genesys:purecloud:2.0:User";
const EXPENSIVE = ["externalId", "roles", `${GENESYS}:routingSkills`, `${GENESYS}:routingLanguages`];

async function call(holder, operation, ...values) {
  let answer = null;
  const told = { operation };
  try {
    answer = await holder[operation](...values);
    told.status = 200;
  } catch (error) {
    told.status = Number(error.status);
  }
  told.answer = answer ?? null;
  console.log(JSON.stringify(told));
  return answer;
}

async function main() {
  const client = sdk.ApiClient.instance;
  const { hostname: host, port, protocol } = new URL(api);
  client.setGateway({ host, port: Number(port), protocol: protocol.replace(":", "") });
  await client.loginClientCredentialsGrant(id, secret);
  const scim = new sdk.SCIMApi();
  for (const family of ["Scim", "ScimV2"]) {
    const of = (verb, noun, ...values) => call(scim, `${verb}${family}${noun}`, ...values);
    const found = family === "ScimV2" ? ["displayName eq Sales"] : [];
    const everybody = await of("get", "Users");
    await of("get", "Users", { count: 100, attributes: ["id", "active"] });
    await of("get", "Users", { count: 100, excludedAttributes: EXPENSIVE });
    await of("get", "Users", { filter: "active eq false" });
    const group = (await of("get", "Groups", ...found)).Resources[0].id;
    await of("get", "Group", group, { attributes: ["id", "active"] });
    for (const name of ["Schemas", "Resourcetypes"]) {
      const listed = await of("get", name);
      for (const one of listed.Resources) await of("get", name.slice(0, -1), one.id);
    }
    await of("get", "Serviceproviderconfig");
    const fresh = {
      userName: `javascript-${family.toLowerCase()}@example.com`,
      displayName: "New One",
      externalId: `J-${family}`,
      emails: [{ type: "work", value: "n@example.com" }],
      roles: [{ value: "Agent" }],
      [ENTERPRISE]: { department: "Sales", dateHire: "2024-02-03", manager: { value: everybody.Resources[0].id } },
    };
    const made = await of("post", "Users", fresh);
    await of("post", "Users", fresh);
    const patch = (path, value) => ({ schemas: [PATCH], Operations: [{ op: "replace", path, value }] });
    const match = { ifMatch: `"${made.meta.version}"` };
    const changed = await of("patch", "User", made.id, patch("title", "Lead"), match);
    await of("patch", "User", made.id, patch("title", "Chief"), match);
    await of("put", "User", made.id, { ...changed, title: "Chief" });
    const members = { schemas: [PATCH], Operations: [{ op: "add", path: "members", value: [{ value: made.id }] }] };
    await of("patch", "Group", group, members);
    await of("get", "User", made.id);
    await of("put", "Group", group, await of("get", "Group", group));
    await of("delete", "User", made.id);
  }
  const users = new sdk.UsersApi();
  const gone = (await call(users, "getUsers", { state: "deleted" })).entities[0];
  await call(users, "getUser", gone.id, { state: "any" });
  await call(users, "patchUser", gone.id, { state: "active", version: gone.version });
  const schema = (await call(users, "getUsersCustomattributesSchemas")).entities[0];
  const record = { schemaId: schema.id, schemaVersion: schema.version, attributes: { badge: 7 } };
  await call(users, "putUserCustomattributes", gone.id, record);
  await call(users, "getUserCustomattribute", gone.id, schema.id);
  await call(users, "getUserCustomattributesBulk", gone.id, [schema.id]);
  const rights = new sdk.AuthorizationApi();
  await call(rights, "getAuthorizationSubjectsMe", { includeFullRoles: true });
  await call(rights, "getAuthorizationDivisions");
  const roles = await call(rights, "getAuthorizationRoles");
  await call(new sdk.OrganizationApi(), "getOrganizationsLimitsNamespace", "scim");
  await call(new sdk.LicenseApi(), "postLicenseInfer", { body: roles.entities.map((role) => role.id) });
}

main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
