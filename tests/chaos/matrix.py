"""The rows of the fault matrix (reliability §6): what each is, and which test covers what is not played here."""

from __future__ import annotations

#: row -> what goes wrong
ROWS = {
    "F1": "login host refuses the client", "F2": "login host throttles with 400", "F3": "login host unwell, silent, garbage",
    "F4": "many workers, no token", "F5": "tokens of odd lives", "F6": "401 in the middle of a run", "F7": "401 for ever",
    "F8": "403 on one verb", "F9": "token dies during a wait", "F10": "wall clock jumps a day", "F11": "429, Retry-After in seconds",
    "F12": "429, Retry-After as a date", "F13": "429 without, or with nonsense", "F14": "429, come back tomorrow",
    "F15": "429 for ever", "F16": "429 for large pages", "F17": "a limit that is not announced", "F18": "refused again after the wait",
    "F19": "503 with Retry-After", "F20": "500, 502, 504 in a row", "F21": "outage of half an hour", "F22": "recovery with waiting workers",
    "F23": "an answer that drips", "F24": "a slow server", "F25": "connection refused", "F26": "reset before the write",
    "F27": "reset after the write", "F28": "closed after the write", "F29": "silence after the write", "F30": "half a body",
    "F31": "a web page", "F32": "another person's body, an old one, no meta", "F33": "no body", "F34": "garbage",
    "F35": "a gzip bomb", "F36": "JSON that is none", "F37": "TLS that is not theirs", "F38": "redirects", "F39": "a proxy by surprise",
    "F40": "headers and cookies", "F41": "a conflict as 412, 409, 400", "F42": "another hand, another attribute",
    "F43": "another hand, the same value", "F44": "another hand adds to a list", "F45": "another hand each time",
    "F46": "no version in the answer", "F47": "versions that do not cover all", "F48": "half applied", "F49": "values in a form of its own",
    "F50": "the search lags", "F51": "409: somebody made the account", "F52": "the answer to a POST is lost",
    "F53": "deleted in between", "F54": "the answer to a DELETE is lost", "F55": "pages that drift", "F56": "short and empty pages",
    "F57": "pages that repeat", "F58": "active people only are listed", "F59": "schema drift before the run", "F60": "schema drift in the run",
    "F61": "one write is refused", "F62": "too much for one request", "F63": "an empty source", "F64": "a short source",
    "F65": "columns exchanged", "F66": "a column that went blank", "F67": "encodings", "F68": "ragged rows", "F69": "keys and logins twice",
    "F70": "keys renumbered", "F71": "forms of letters", "F72": "formulas", "F73": "odd days", "F74": "replaced while it is read",
    "F75": "circles and deep chains", "F76": "everybody at once", "F77": "the source is lost half way", "F78": "killed anywhere",
    "F79": "told to stop, cancelled", "F80": "the disk is full", "F81": "the commit's answer is lost", "F82": "a slow, busy disk",
    "F83": "a damaged state", "F84": "two at once", "F85": "the holder of the lease sleeps", "F86": "the plan is stale",
    "F87": "a forged plan", "F88": "another configuration", "F89": "an old state is restored", "F90": "modes, links, folders",
    "F91": "memory and files", "F92": "the database restarts", "F93": "killed while migrating", "F94": "receiver down",
    "F95": "receiver answers oddly", "F96": "crash around a delivery", "F97": "a poison event", "F98": "a backlog of events",
    "F99": "forged events", "F100": "approved twice",
}  # fmt: skip

#: what is true of every world, or of a share of them, besides what is drawn as a fault
ALWAYS = {
    "F41": "each world has one of the three",
    "F58": "every world",
    "F4": "every world with several workers",
}
#: row -> the test of it, for what is not played here ("" where there is none)
ELSEWHERE = {
    "F16": "integration/test_simulator_service.py", "F17": "unit/adapters/test_target_limits.py",
    "F35": "unit/adapters/test_target_scim.py", "F36": "unit/adapters/test_target_scim.py",
    "F37": "integration/test_simulator_service.py", "F38": "integration/test_reading.py",
    "F39": "unit/adapters/test_target_scim.py", "F40": "unit/adapters/test_target_scim.py",
    "F47": "integration/test_provider_guards.py", "F49": "integration/test_provider_unshown.py",
    "F53": "integration/test_runs_life.py", "F54": "unit/engine/test_endings.py", "F59": "integration/test_runs_drift.py",
    "F60": "integration/test_runs_drift.py", "F62": "integration/test_runs_parts.py", "F63": "acceptance/test_bad_input.py",
    "F64": "integration/test_runs_life.py", "F65": "integration/test_runs_exchanged.py", "F66": "integration/test_runs_limits.py",
    "F67": "unit/adapters/test_source_file.py", "F68": "laws/test_two_roads.py", "F69": "integration/test_runs_doubles.py",
    "F70": "integration/test_runs_identity.py", "F71": "laws/test_days.py", "F72": "integration/test_sheets.py",
    "F73": "integration/test_runs_days.py", "F74": "laws/test_source_cuts.py", "F75": "unit/core/test_references.py",
    "F76": "integration/test_runs_limits.py", "F77": "laws/test_source_cuts.py", "F83": "integration/test_base_layers.py",
    "F87": "unit/engine/test_signatures.py", "F88": "unit/engine/test_seals.py", "F89": "integration/test_runs_audit.py",
    "F90": "unit/test_files.py", "F91": "acceptance/test_small_machine.py", "F93": "unit/adapters/test_store_sql.py",
    "F94": "unit/engine/test_delivering.py", "F95": "unit/adapters/test_webhook_http.py",
    "F96": "unit/engine/test_delivering.py", "F97": "unit/engine/test_delivering.py", "F98": "integration/test_backlog.py",
    "F99": "unit/core/test_signing.py", "F100": "integration/test_runs_accepted.py",
}  # fmt: skip
