"""Speech to text, text as it is spoken, and text to speech."""
