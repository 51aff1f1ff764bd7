"""The only code that speaks Redis: one module a subject, one Lua script a file in lua/."""
