"""The MCP door: the five operations as tools, calls, jobs and operations as resources, two prompts. It holds no rule."""
