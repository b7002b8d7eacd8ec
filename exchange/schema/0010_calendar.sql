-- Days that the law or the Prime Minister's yearly notice take out of the rule
-- "Monday to Friday": Tết, Hùng Vương, the second day of Quốc khánh, swapped days.

CREATE TABLE exchange_calendar_day (
    day     TEXT PRIMARY KEY, -- YYYY-MM-DD in Vietnam
    working SMALLINT NOT NULL, -- 1 = worked although the rule says off, 0 = off although the rule says worked
    name    TEXT NOT NULL,
    set_by  TEXT NOT NULL,
    at      BIGINT NOT NULL
);
