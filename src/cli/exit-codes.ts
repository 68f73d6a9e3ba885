/** As a shell has it for a program that SIGINT has ended. */
export const EXIT_INTERRUPTED = 130;
