//! Runs programs, with a deadline, and kills them with their children.
