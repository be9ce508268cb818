// json-server over a file of employees. Usage: node serve_json_server.cjs FOLDER_OF_NODE_MODULES
const {createRequire} = require("node:module");
const {writeFileSync} = require("node:fs");
const jsonServer = createRequire(process.argv[2] + "/")("json-server");
const token = "a-token";

writeFileSync("db.json", JSON.stringify({employees: []}));
const app = jsonServer.create();
app.use(jsonServer.defaults({logger: false}));
app.use((request, response, next) =>
    request.header("Authorization") === `Bearer ${token}` ? next() : response.sendStatus(401));
app.use(jsonServer.router("db.json"));
const server = app.listen(0, "127.0.0.1", () => {
    console.log(JSON.stringify({url: `http://127.0.0.1:${server.address().port}`, token}));
});
process.stdin.on("end", () => process.exit()).resume();
