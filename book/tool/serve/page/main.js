/* What a page can do only while `cargo xtask book serve` shows it. */
import './news.js';
import './runs.js';
import './exercises.js';
