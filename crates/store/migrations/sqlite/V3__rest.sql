-- Until when an endpoint that keeps failing is left alone; null while deliveries go.
ALTER TABLE endpoint ADD COLUMN rests_until INTEGER;
