-- Lists are read page by page, by the number that each row has.
CREATE UNIQUE INDEX api_key_sequence ON api_key (sequence);
CREATE UNIQUE INDEX operator_sequence ON operator (sequence);
CREATE UNIQUE INDEX orders_sequence ON orders (sequence);
