-- Second factor of a login (RFC 6238). The secret is sealed with a key that is not in the database.
CREATE TABLE registry_totp (
    person    TEXT PRIMARY KEY REFERENCES registry_person (id),
    secret    TEXT NOT NULL, -- base64 of AES-GCM
    created   BIGINT NOT NULL,
    confirmed BIGINT NOT NULL, -- 0 = not in force yet
    step      BIGINT NOT NULL, -- the last time step that was used
    recovery  TEXT NOT NULL -- SHA-256 of the codes that are left, comma-separated
);
