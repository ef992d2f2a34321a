"""From a question and its passages to the words of an answer."""
