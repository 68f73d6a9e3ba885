import { constants } from "node:os";

/** What the C library calls the errors that a person may meet; Node's own wording differs from what nginx prints. */
const descriptions: Readonly<Record<string, string>> = {
  EPERM: "Operation not permitted",
  ENOENT: "No such file or directory",
  ESRCH: "No such process",
  EIO: "Input/output error",
  EBADF: "Bad file descriptor",
  EAGAIN: "Resource temporarily unavailable",
  ENOMEM: "Cannot allocate memory",
  EACCES: "Permission denied",
  EBUSY: "Device or resource busy",
  EEXIST: "File exists",
  ENODEV: "No such device",
  ENOTDIR: "Not a directory",
  EISDIR: "Is a directory",
  EINVAL: "Invalid argument",
  ENFILE: "Too many open files in system",
  EMFILE: "Too many open files",
  EFBIG: "File too large",
  ENOSPC: "No space left on device",
  EROFS: "Read-only file system",
  EPIPE: "Broken pipe",
  ENAMETOOLONG: "File name too long",
  ELOOP: "Too many levels of symbolic links",
  EPROTO: "Protocol error",
  EADDRINUSE: "Address already in use",
  EADDRNOTAVAIL: "Cannot assign requested address",
  EAFNOSUPPORT: "Address family not supported by protocol",
  ENETUNREACH: "Network is unreachable",
  ECONNABORTED: "Software caused connection abort",
  ECONNRESET: "Connection reset by peer",
  ETIMEDOUT: "Connection timed out",
  ECONNREFUSED: "Connection refused",
  EHOSTUNREACH: "No route to host",
};

/** A failed system call in the form of nginx's log: `2: No such file or directory`. */
export function describeSystemError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const number = errorNumber(error);
  if (number === null) return error.message;
  const description = descriptions[number.name];
  return description === undefined ? error.message : `${number.value}: ${description}`;
}

const NUMBERS: Readonly<Record<string, number>> = constants.errno;

/** By the name, since Node negates the numbers and some calls, such as setuid, give none. Node's own ERR_… have none. */
function errorNumber(error: Error): { readonly name: string; readonly value: number } | null {
  const name = "code" in error && typeof error.code === "string" ? error.code : "";
  const value = NUMBERS[name];
  return value === undefined ? null : { name, value };
}
