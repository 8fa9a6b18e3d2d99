/** Where a part of the program says what goes on: given to it, so that it does not choose where its words go. */

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Takes one message, without a line end. */
export type Logger = (level: LogLevel, message: string) => void;
