-- A state on SQLite as the steps in `versions` leave it, so that a new one need not take them.
-- A test holds the two together; a new step is written here too.
CREATE TABLE audit (
  seq INTEGER NOT NULL,
  at VARCHAR(32) NOT NULL,
  kind TEXT NOT NULL,
  run TEXT NOT NULL,
  person TEXT NOT NULL,
  body BLOB NOT NULL,
  hash BLOB NOT NULL,
  PRIMARY KEY (seq)
);
CREATE TABLE audit_head (
  id INTEGER NOT NULL,
  origin TEXT NOT NULL,
  secret BLOB NOT NULL,
  size INTEGER NOT NULL,
  hash BLOB NOT NULL,
  frontier BLOB NOT NULL,
  PRIMARY KEY (id)
);
CREATE TABLE audit_key (
  pseudonym TEXT NOT NULL,
  person TEXT NOT NULL,
  secret BLOB,
  erased VARCHAR(32),
  erased_by TEXT NOT NULL,
  PRIMARY KEY (pseudonym)
);
CREATE TABLE checkpoint (
  size INTEGER NOT NULL,
  at VARCHAR(32) NOT NULL,
  note TEXT NOT NULL,
  PRIMARY KEY (size)
);
CREATE TABLE "deferred" (
  "key" TEXT NOT NULL,
  path TEXT NOT NULL,
  awaits TEXT NOT NULL,
  run TEXT NOT NULL,
  since VARCHAR(32) NOT NULL,
  PRIMARY KEY ("key", path)
);
CREATE TABLE frozen (
  source TEXT NOT NULL,
  kind TEXT NOT NULL,
  run TEXT NOT NULL,
  PRIMARY KEY (source, kind)
);
CREATE TABLE group_name (
  name TEXT NOT NULL,
  group_id TEXT NOT NULL,
  PRIMARY KEY (name)
);
CREATE TABLE group_partial (
  group_id TEXT NOT NULL,
  PRIMARY KEY (group_id)
);
CREATE TABLE inbound (
  seq INTEGER NOT NULL,
  id TEXT NOT NULL,
  at VARCHAR(32) NOT NULL,
  keys JSON NOT NULL,
  answered BOOLEAN NOT NULL,
  PRIMARY KEY (seq),
  UNIQUE (id)
);
CREATE TABLE journal (
  seq INTEGER NOT NULL,
  run TEXT NOT NULL,
  "key" TEXT NOT NULL,
  part INTEGER NOT NULL,
  step TEXT NOT NULL,
  at VARCHAR(32) NOT NULL,
  attempt INTEGER NOT NULL,
  method TEXT NOT NULL,
  version TEXT NOT NULL,
  outcome JSON,
  PRIMARY KEY (seq)
);
CREATE TABLE lease (
  id INTEGER NOT NULL,
  fence INTEGER NOT NULL,
  owner TEXT NOT NULL,
  host TEXT NOT NULL,
  place TEXT NOT NULL,
  pid INTEGER NOT NULL,
  started TEXT NOT NULL,
  since VARCHAR(32),
  renewed VARCHAR(32),
  PRIMARY KEY (id)
);
CREATE TABLE link (
  "key" TEXT NOT NULL,
  account TEXT NOT NULL, source TEXT DEFAULT '' NOT NULL,
  PRIMARY KEY ("key")
);
CREATE TABLE link_decision (
  seq INTEGER NOT NULL,
  "key" TEXT NOT NULL,
  account TEXT NOT NULL,
  same BOOLEAN NOT NULL,
  actor TEXT NOT NULL,
  source TEXT NOT NULL,
  PRIMARY KEY (seq)
);
CREATE TABLE membership (
  group_id TEXT NOT NULL,
  account TEXT NOT NULL,
  PRIMARY KEY (group_id, account)
);
CREATE TABLE outbox (
  seq INTEGER NOT NULL,
  id TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  person TEXT NOT NULL,
  type TEXT NOT NULL,
  body BLOB NOT NULL,
  created VARCHAR(32) NOT NULL,
  due VARCHAR(32) NOT NULL,
  attempts INTEGER NOT NULL,
  state TEXT NOT NULL,
  status INTEGER NOT NULL,
  detail TEXT NOT NULL,
  tried VARCHAR(32),
  delivered VARCHAR(32),
  PRIMARY KEY (seq)
);
CREATE TABLE run (
  id TEXT NOT NULL,
  created VARCHAR(32) NOT NULL,
  state TEXT NOT NULL,
  target TEXT NOT NULL,
  "plan" TEXT NOT NULL,
  agreed TEXT NOT NULL,
  base TEXT NOT NULL,
  finished VARCHAR(32),
  tally JSON NOT NULL,
  statuses JSON NOT NULL,
  health JSON,
  partial BOOLEAN NOT NULL, seq INTEGER DEFAULT '0' NOT NULL, begun INTEGER DEFAULT '0' NOT NULL, source TEXT DEFAULT '' NOT NULL, takes JSON DEFAULT '[]' NOT NULL, began VARCHAR(32), done JSON DEFAULT '{}' NOT NULL, answered JSON DEFAULT '[]' NOT NULL,
  PRIMARY KEY (id)
);
CREATE TABLE schema_pin (
  id INTEGER NOT NULL,
  target TEXT NOT NULL,
  at VARCHAR(32) NOT NULL,
  actor TEXT NOT NULL,
  documents JSON NOT NULL,
  PRIMARY KEY (id)
);
CREATE TABLE scimsync_version (
  version_num VARCHAR(32) NOT NULL,
  CONSTRAINT scimsync_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE source (
  name TEXT NOT NULL,
  PRIMARY KEY (name)
);
CREATE INDEX ix_audit_kind_seq ON audit (kind, seq);
CREATE INDEX ix_audit_person_seq ON audit (person, seq);
CREATE INDEX ix_audit_run_seq ON audit (run, seq);
CREATE INDEX ix_journal_run_seq ON journal (run, seq);
CREATE INDEX ix_link_account ON link (account);
CREATE INDEX ix_outbox_due ON outbox (endpoint, state, due, seq);
CREATE INDEX ix_outbox_id ON outbox (id);
CREATE INDEX ix_outbox_person ON outbox (endpoint, state, person, seq);
CREATE INDEX ix_run_began ON run (began);
CREATE INDEX ix_run_begun ON run (begun);
CREATE INDEX ix_run_created ON run (created);
CREATE INDEX ix_run_seq ON run (seq);
CREATE INDEX ix_run_state ON run (state);
CREATE INDEX ix_schema_pin_target ON schema_pin (target);
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit chain is only added to'); END;
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit chain is only added to'); END;
INSERT INTO lease VALUES (1, 0, '', '', '', 0, '', NULL, NULL);
