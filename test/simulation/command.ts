// For those who run the simulator as a process of its own.
import { main } from './main.js';

process.exitCode = await main(process.argv.slice(2));
