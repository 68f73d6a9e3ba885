import type { ByteString } from "../base/bytes.ts";
import { HeaderList } from "./header-list.ts";
import { knownHeader, LOWER_SPELLING, spellingOf, USUAL_SPELLING } from "./header-names.ts";

/** Where the numbers of one header line stand in the flat array; its name starts where the line does. */
const NAME_START = 0;
const NAME_END = 1;
const VALUE_START = 2;
const VALUE_END = 3;
const RECOGNIZED = 4;
const STRIDE = 5;

/**
 * Where the header lines of a head lie that is still being read: offsets and no strings, since the head becomes one string
 * only when it is whole. Reusable after {@link clear}.
 */
export class HeaderMarks {
  readonly #marks: number[] = [];
  #length = 0;
  /** Which of the fields with a role occur, and which more than once (bits of header-names.ts); set by {@link toList}. */
  seen = 0;
  repeated = 0;

  /** How many header lines are marked. */
  get count(): number {
    return this.#length / STRIDE;
  }

  clear(): void {
    this.#length = 0;
    this.seen = 0;
    this.repeated = 0;
  }

  /** Marks a line; `recognized` is what recognizeHeaderName said of its name. */
  add(nameStart: number, nameEnd: number, valueStart: number, valueEnd: number, recognized: number): void {
    const marks = this.#marks;
    const at = this.#length;
    marks[at + NAME_START] = nameStart;
    marks[at + NAME_END] = nameEnd;
    marks[at + VALUE_START] = valueStart;
    marks[at + VALUE_END] = valueEnd;
    marks[at + RECOGNIZED] = recognized;
    this.#length = at + STRIDE;
  }

  /** The header fields of the head `text`, whose names are tokens. */
  toList(text: ByteString): HeaderList {
    const list = new HeaderList();
    const marks = this.#marks;
    for (let at = 0; at < this.#length; at += STRIDE) {
      const recognized = marks[at + RECOGNIZED] ?? -1;
      const known = knownHeader(recognized);
      const spelling = spellingOf(recognized);
      let name: ByteString;
      if (known !== undefined && spelling === USUAL_SPELLING) name = known.name;
      else if (known !== undefined && spelling === LOWER_SPELLING) name = known.lower;
      else name = text.slice(marks[at + NAME_START], marks[at + NAME_END]);
      // A token is ASCII: toLowerCase changes A to Z and nothing else.
      const lower = known?.lower ?? name.toLowerCase();
      list.appendParsed(name, lower, text.slice(marks[at + VALUE_START], marks[at + VALUE_END]));
      const role = known?.role ?? 0;
      this.repeated |= this.seen & role;
      this.seen |= role;
    }
    return list;
  }
}
