/** The same tests once more, on the documented interface of Node's sockets instead of their handles. */
import { beforeAll } from "vitest";
import { useTransportPath } from "../base/transport.ts";
import "./http1-answers.test.ts";
import "./http1-bodies.test.ts";
import "./http1-heads.test.ts";
import "./listener.test.ts";
import "./tls.test.ts";

beforeAll(() => useTransportPath("public"));
