"""The MCP door: the five operations as tools, calls and operations as resources, two prompts. It holds no rule."""
