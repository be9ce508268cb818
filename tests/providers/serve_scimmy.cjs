// scimmy on Express, with people and groups in memory. Usage: node serve_scimmy.cjs FOLDER_OF_NODE_MODULES
const {createRequire} = require("node:module");
const {randomUUID} = require("node:crypto");
const fetch = createRequire(process.argv[2] + "/");
const express = fetch("express");
const SCIMMY = fetch("scimmy").default ?? fetch("scimmy");
const SCIMMYRouters = fetch("scimmy-routers").default ?? fetch("scimmy-routers");
const token = "a-token";

// what an application does for each type of resource: keep what comes, give what is asked for, forget
function keep(Type, name) {
    const held = new Map();
    const found = id => {
        if (!held.has(id)) throw new SCIMMY.Types.Error(404, null, `Resource ${id} not found`);
        return held.get(id);
    };
    SCIMMY.Resources.declare(Type)
        .ingress((resource, data) => {
            const before = resource.id ? found(resource.id) : undefined;
            const id = before?.id ?? randomUUID();
            const taken = [...held.values()].some(one =>
                one.id !== id && String(one[name]).toLowerCase() === String(data[name]).toLowerCase());
            if (taken) throw new SCIMMY.Types.Error(409, "uniqueness", `${name} is taken`);
            const now = new Date();
            const made = {...JSON.parse(JSON.stringify(data)), id,
                meta: {created: before?.meta.created ?? now, lastModified: now}};
            held.set(id, made);
            return made;
        })
        .egress(resource => {
            if (resource.id) return found(resource.id);
            const all = [...held.values()];
            return resource.filter ? resource.filter.match(all) : all;
        })
        .degress(resource => {
            found(resource.id);
            held.delete(resource.id);
        });
}

SCIMMY.Resources.User.extend(SCIMMY.Schemas.EnterpriseUser, false);
keep(SCIMMY.Resources.User, "userName");
keep(SCIMMY.Resources.Group, "displayName");

const app = express();
app.use("/scim/v2", new SCIMMYRouters({
    type: "bearer",
    docUri: "https://example.com",
    handler: request => {
        if (request.header("Authorization") !== `Bearer ${token}`) throw new Error("who are you?");
        return "scimsync";
    },
}));
const server = app.listen(0, "127.0.0.1", () => {
    console.log(JSON.stringify({url: `http://127.0.0.1:${server.address().port}/scim/v2`, token}));
});
process.stdin.on("end", () => process.exit()).resume();
