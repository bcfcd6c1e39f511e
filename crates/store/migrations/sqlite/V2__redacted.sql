-- Keyed hash of the arrival's bytes as they came, where they were truncated before they were kept.
ALTER TABLE event ADD COLUMN original BLOB CHECK (length(original) = 16);
