"""Who will buy, who will stay away, how much, and when to write: learnt online, asked as plain values."""
