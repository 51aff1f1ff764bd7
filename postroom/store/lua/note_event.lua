-- note_event: enter in a log what no script of its own tells.
-- KEYS[1]  hash with the log: a campaign that has one, or what is an account's
-- ARGV     event, detail, 1 when it is entered only where a log is begun
-- Returns  1
log_event(KEYS[1], ARGV[1], '', ARGV[2], ARGV[3] == '1')
return 1
