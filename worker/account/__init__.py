"""One SES account as a worker uses it: its rate, its quota, its circuit breaker."""
