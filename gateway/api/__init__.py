"""The REST door: makes a Submission of a request and presents the answer as JSON. Holds no rule of its own."""
