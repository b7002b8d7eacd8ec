-- Agencies, people, sessions, keys. Times are microseconds UTC, 0 = none.
CREATE TABLE registry_agency (
    id          TEXT PRIMARY KEY,
    legacy_code TEXT NOT NULL,
    name        TEXT NOT NULL,
    symbol      TEXT NOT NULL,
    place       TEXT NOT NULL,
    level       TEXT NOT NULL,
    mail        TEXT NOT NULL,
    parent      TEXT NOT NULL,
    valid_from  BIGINT NOT NULL,
    valid_to    BIGINT NOT NULL,
    channel     TEXT NOT NULL,
    search      TEXT NOT NULL,
    created     BIGINT NOT NULL,
    updated     BIGINT NOT NULL
);
CREATE UNIQUE INDEX registry_agency_legacy ON registry_agency (legacy_code) WHERE legacy_code <> '';
CREATE INDEX registry_agency_parent ON registry_agency (parent, id);

CREATE TABLE registry_person (
    id       TEXT PRIMARY KEY,
    login    TEXT NOT NULL UNIQUE,
    name     TEXT NOT NULL,
    position TEXT NOT NULL,
    mail     TEXT NOT NULL,
    agency   TEXT NOT NULL REFERENCES registry_agency (id),
    roles    TEXT NOT NULL, -- comma-separated, in the order of Roles()
    disabled SMALLINT NOT NULL,
    password TEXT NOT NULL, -- argon2id in PHC form, '' = may not log in
    created  BIGINT NOT NULL,
    updated  BIGINT NOT NULL
);
CREATE INDEX registry_person_agency ON registry_person (agency, login);

-- Sessions and API tokens, by the SHA-256 of the token.
CREATE TABLE registry_session (
    token     TEXT PRIMARY KEY,
    person    TEXT NOT NULL REFERENCES registry_person (id),
    kind      TEXT NOT NULL, -- session, token
    name      TEXT NOT NULL,
    created   BIGINT NOT NULL,
    last_used BIGINT NOT NULL,
    expires   BIGINT NOT NULL
);
CREATE INDEX registry_session_person ON registry_session (person);
CREATE INDEX registry_session_expires ON registry_session (expires);

CREATE TABLE registry_key (
    owner_kind TEXT NOT NULL,
    owner      TEXT NOT NULL,
    p12        TEXT NOT NULL, -- base64, encrypted under the owner's passphrase
    updated    BIGINT NOT NULL,
    PRIMARY KEY (owner_kind, owner)
);

CREATE TABLE registry_certificate (
    owner_kind  TEXT NOT NULL,
    owner       TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    der         TEXT NOT NULL, -- base64
    added       BIGINT NOT NULL,
    added_by    TEXT NOT NULL,
    PRIMARY KEY (owner_kind, owner, fingerprint)
);
CREATE INDEX registry_certificate_fingerprint ON registry_certificate (fingerprint);
