-- leave_line: a waiter goes without a grant: nobody behind it waits for it any longer.
-- KEYS[1]  line, a sorted set of waiters     KEYS[2]  asks, a hash waiter -> what it wants
-- ARGV     waiter
-- Returns  1 when it stood in the line
redis.call('HDEL', KEYS[2], ARGV[1])
return redis.call('ZREM', KEYS[1], ARGV[1])
