/** Names that lead nowhere, and ports that take no connection. */
import type { TcpAttempt } from "../../probe/tcp.ts";
import type { Walk } from "../../probe/walk.ts";
import { verbatim, type Words, words } from "../../words.ts";
import { connectionError, NOTHING_SAID } from "../browsers.ts";
import { found } from "../facts.ts";
import type { Illness } from "../illness.ts";
import { mend } from "../mends.ts";

/** Where no address is open; the outcome of each. */
function closedAttempts({ tcp }: Walk): readonly TcpAttempt[] | null {
  if (tcp === null || tcp.attempts.some(({ outcome }) => outcome === "open")) return null;
  return tcp.attempts;
}

function attemptLine({ address, port, outcome, code }: TcpAttempt): Words {
  return verbatim(`${address} port ${port}: ${outcome}${code === "" ? "" : ` (${code})`}`);
}

export const NETWORK_ILLNESSES: readonly Illness[] = [
  {
    id: "name-not-found",
    severity: "sick",
    title: words("The name {host} has no address.", "域名 {host} 没有解析到地址。"),
    explanation: words(
      "The resolver says that there is no such name, or that it has neither an A nor an AAAA record.",
      "解析器说没有这个名字，或既没有 A 记录也没有 AAAA 记录。",
    ),
    browsers: connectionError(
      "ERR_NAME_NOT_RESOLVED",
      "A server with the specified hostname could not be found.",
    ),
    mends: [
      mend(
        "network",
        "Look for a typing error; then add the record, or wait until it has spread.",
        "检查拼写；然后添加记录，或等待它生效。",
        "{host}.  300  IN  A  ADDRESS",
      ),
    ],
    confirm: words(
      "dig +short {host} A; dig +short {host} AAAA",
      "dig +short {host} A; dig +short {host} AAAA",
    ),
    recognise: ({ front }) =>
      front.names?.error === "ENOTFOUND" || front.names?.error === "ENODATA"
        ? found(0.98, verbatim(`${front.names.host}: ${front.names.error}`))
        : null,
  },
  {
    id: "name-server-silent",
    severity: "sick",
    title: words("No name server answers about {host}.", "没有域名服务器回答 {host} 的查询。"),
    explanation: words(
      "The question for the name's address got no answer, or a failure: DNS is out of reach from here, or the name's own servers are down.",
      "查询该名字的地址没有得到回答，或得到失败：这里无法访问 DNS，或该域名的服务器宕机。",
    ),
    browsers: connectionError(
      "ERR_NAME_RESOLUTION_FAILED",
      "A server with the specified hostname could not be found.",
    ),
    mends: [
      mend(
        "network",
        "Mend /etc/resolv.conf or the way to the name server.",
        "修复 /etc/resolv.conf 或到域名服务器的网络。",
      ),
    ],
    confirm: words("dig {host}; dig @1.1.1.1 {host}", "dig {host}; dig @1.1.1.1 {host}"),
    recognise: ({ front }) => {
      const error = front.names?.error ?? null;
      if (error === null || error === "ENOTFOUND" || error === "ENODATA") return null;
      return found(0.95, verbatim(`${front.names?.host}: ${error}`));
    },
  },
  {
    id: "connection-refused",
    severity: "sick",
    title: words("Nobody listens on port {port} of {host}.", "{host} 的 {port} 端口没有程序监听。"),
    explanation: words(
      "The machine answers, and says that the port is closed: the server does not run, listens on another port or address, or a firewall rejects.",
      "机器有回应，说端口是关闭的：服务没有运行、监听了别的端口或地址，或被防火墙拒绝。",
    ),
    browsers: connectionError("ERR_CONNECTION_REFUSED", "Could not connect to the server."),
    mends: [
      mend(
        "nginx",
        "Listen there, and see that it runs.",
        "在该端口监听，并确认服务在运行。",
        "server { listen {port}; }\n# nginx -t && systemctl status nginx; ss -ltnp | grep :{port}",
      ),
      mend(
        "application",
        "A program that listens on 127.0.0.1 is not to be reached from elsewhere: let it listen on 0.0.0.0, or put a proxy before it.",
        "只监听 127.0.0.1 的程序外面连不到：改为监听 0.0.0.0，或在前面放一个代理。",
      ),
      mend(
        "network",
        "Open the port in the security group and in the firewall; publish it where it runs in a container.",
        "在安全组和防火墙里放行该端口；容器里要发布端口。",
        "docker run -p {port}:{port} …",
      ),
    ],
    confirm: words("On the server: ss -ltnp | grep :{port}", "在服务器上：ss -ltnp | grep :{port}"),
    recognise: ({ front }) => {
      const attempts = closedAttempts(front);
      return attempts?.some(({ outcome }) => outcome === "refused") === true
        ? found(0.97, ...attempts.map(attemptLine))
        : null;
    },
  },
  {
    id: "connection-filtered",
    severity: "sick",
    title: words(
      "Port {port} of {host} does not answer at all: a firewall swallows the packets, or the server takes no more connections.",
      "{host} 的 {port} 端口完全没有回应：防火墙丢弃了数据包，或服务器不再接受连接。",
    ),
    explanation: words(
      "A closed port answers at once; silence means that the packets are dropped on the way (security group, firewall, wrong address), or that the backlog of a server that hangs is full.",
      "关闭的端口会立刻回应；沉默说明数据包在途中被丢弃（安全组、防火墙、地址错误），或服务器卡住、连接队列已满。",
    ),
    browsers: connectionError("ERR_CONNECTION_TIMED_OUT", "The request timed out."),
    mends: [
      mend(
        "network",
        "Let port {port} in: in the cloud's security group, in the firewall of the machine, at the provider.",
        "放行 {port} 端口：云的安全组、机器防火墙、运营商。",
        "ufw allow {port}/tcp\nfirewall-cmd --add-port={port}/tcp --permanent && firewall-cmd --reload",
      ),
      mend(
        "application",
        "If the machine answers on other ports: the program hangs and does not accept. Restart it, and look at what it waits for.",
        "如果机器的其他端口有回应：程序卡住、没有接受连接。重启它，并查看它在等什么。",
      ),
    ],
    confirm: words(
      "From another network: nc -vz -w 3 {host} {port}. On the server: ss -ltn | grep :{port} (Recv-Q above Send-Q is a full backlog).",
      "换一个网络：nc -vz -w 3 {host} {port}。在服务器上：ss -ltn | grep :{port}（Recv-Q 大于 Send-Q 表示队列已满）。",
    ),
    recognise: ({ front }) => {
      const attempts = closedAttempts(front);
      if (attempts === null || attempts.some(({ outcome }) => outcome === "refused")) return null;
      return attempts.some(({ outcome }) => outcome === "timeout")
        ? found(0.95, ...attempts.map(attemptLine))
        : null;
    },
  },
  {
    id: "network-unreachable",
    severity: "sick",
    title: words("There is no way from here to {host}.", "从这里没有到 {host} 的路由。"),
    explanation: words(
      "The system has no route to any address of the name: no network, an IPv6 address without IPv6, or a private address of another network.",
      "系统没有到该名字任何地址的路由：没有网络、没有 IPv6 却只有 IPv6 地址，或是别的网络的私有地址。",
    ),
    browsers: connectionError("ERR_ADDRESS_UNREACHABLE", "Could not connect to the server."),
    mends: [
      mend(
        "network",
        "Mend the route, or give the name an address of the family that the clients have.",
        "修复路由，或为该名字添加客户端可用的地址族。",
      ),
    ],
    confirm: words("ip route get ADDRESS", "ip route get ADDRESS"),
    recognise: ({ front }) => {
      const attempts = closedAttempts(front);
      if (attempts === null || attempts.length === 0) return null;
      const isOther = attempts.every(({ outcome }) => outcome !== "refused" && outcome !== "timeout");
      return isOther ? found(0.95, ...attempts.map(attemptLine)) : null;
    },
  },
  {
    id: "some-addresses-closed",
    severity: "note",
    title: words("Not every address of {host} takes connections.", "{host} 并非每个地址都能连接。"),
    explanation: words(
      "Browsers try the next address; simpler clients take the first and fail, or wait for its timeout.",
      "浏览器会尝试下一个地址；简单的客户端只用第一个，会失败或等到超时。",
    ),
    browsers: NOTHING_SAID,
    mends: [
      mend(
        "nginx",
        "Listen on both families, or take the record away that leads nowhere.",
        "同时监听两个地址族，或删掉无效的记录。",
        "listen {port};\nlisten [::]:{port};",
      ),
    ],
    confirm: words("curl -4 and curl -6 to the same name.", "分别用 curl -4 和 curl -6 访问同一名字。"),
    recognise: ({ front }) => {
      const attempts = front.tcp?.attempts ?? [];
      const closed = attempts.filter(({ outcome }) => outcome !== "open");
      return closed.length > 0 && closed.length < attempts.length
        ? found(1, ...[...closed, ...attempts.filter(({ outcome }) => outcome === "open")].map(attemptLine))
        : null;
    },
  },
  {
    id: "hosts-file-differs",
    severity: "note",
    title: words(
      "This machine's hosts file says something else about {host} than DNS does.",
      "本机 hosts 文件与 DNS 对 {host} 的说法不一致。",
    ),
    explanation: words(
      "The walk went where the hosts file points; everyone else goes elsewhere.",
      "检查走的是 hosts 文件的地址；其他人去的是别处。",
    ),
    browsers: NOTHING_SAID,
    mends: [
      mend(
        "network",
        "Take the line out of /etc/hosts, or ask with --resolve.",
        "从 /etc/hosts 删掉这一行，或用 --resolve 检查。",
      ),
    ],
    confirm: words("grep {host} /etc/hosts; dig +short {host}", "grep {host} /etc/hosts; dig +short {host}"),
    recognise: ({ front: { names } }) => {
      if (names === null || names.dns === null || names.hostsFile.length === 0) return null;
      const { dns } = names;
      if (names.hostsFile.every((address) => dns.includes(address))) return null;
      return found(
        1,
        verbatim(`/etc/hosts: ${names.hostsFile.join(", ")}`),
        verbatim(`DNS: ${dns.join(", ")}`),
      );
    },
  },
];
