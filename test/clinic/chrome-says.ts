/** What chromium says about each patient, word for word, `{url}` standing for its URL; test/clinic-browser.test.ts holds it. */
export const CHROME_SAYS: Readonly<Record<string, string>> = {
  "nginx without the lines about Upgrade, before an application that answers 400 to a GET":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 400",
  "the same, before one that answers 426, as the library ws does":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 426",
  "the same, before one that answers 200 with a page":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 200",
  "nginx with Upgrade but without Connection":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 400",
  "nginx whose map is written on the wrong variable, so that Connection is close":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 404",
  "nginx with a proxy_set_header in the location that wipes out the server's lines":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 404",
  "nginx without a location for the path: its own 404":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 404",
  "nginx whose location for files by regular expression takes the path before the WebSocket's":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 404",
  "nginx with try_files … /index.html for everything: the page instead of the WebSocket":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 200",
  "nginx whose proxy_pass takes a prefix away that the application wants: the library ws answers 400 on every path but its own":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 400",
  "nginx whose location /socket.io/ has a proxy_pass that ends in a slash: Socket.IO is asked for /":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 400",
  "nginx with proxy_pass http://$backend/, which sends every path to /":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 400",
  "nginx with proxy_pass http:// before another nginx, which wants TLS (400 from behind), ws":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 400",
  "nginx with proxy_pass http:// before a Node server with TLS (502), and --backend wss://":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 502",
  "nginx with auth_request, and nobody who is logged in":
    "WebSocket connection to '{url}' failed: HTTP Authentication failed; no valid credentials available",
  "nginx with auth_request to a path that nobody serves (500)":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 500",
  "nginx with proxy_protocol on its listen line, and nobody who sends the PROXY header":
    "WebSocket connection to '{url}' failed: Connection closed before receiving a handshake response",
  "nginx with proxy_protocol behind nginx, whose proxy_pass sends no PROXY header (502), and --backend":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 502",
  'nginx with return 200 "text" in the location into which the path falls':
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 200",
  "the same, and --backend, which opens the WebSocket":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 200",
  "nginx with right lines, before a Node server that has index.html for every path and no WebSocket":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 200",
  "nginx without the lines about Upgrade, before an application with index.html for every path, and --backend":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 200",
  "HAProxy with send-proxy on the server line, before a Node server: an empty 400 for everything":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 400",
  "the same with send-proxy-v2, and --backend":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 400",
  "HAProxy with send-proxy, before an nginx without proxy_protocol: its page with 400":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 400",
  "HAProxy with mode tcp and send-proxy, before an nginx with TLS: its page with 400 in plain text":
    "WebSocket connection to '{url}' failed: Error in connection establishment: net::ERR_SSL_PROTOCOL_ERROR",
  "HAProxy with send-proxy, before a Caddy":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 400",
  "nginx with location /websocket/, and a URL without the slash at its end (301)":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 301",
  "nginx whose location does not match, so that another one hands the path to a program that never answers (504)":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 504",
  "nginx before a port on which nobody listens (502)":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 502",
  "nginx with limit_conn, every place taken (503)":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 503",
  "nginx that redirects port 80 to https, and ws:// in the page":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 301",
  "nginx with TLS, and ws:// to its port":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 400",
  "nginx without ssl on its listen line, and wss:// to its port, by IP address":
    "WebSocket connection to '{url}' failed: Error in connection establishment: net::ERR_SSL_PROTOCOL_ERROR",
  "nginx with ssl_protocols TLSv1.1":
    "WebSocket connection to '{url}' failed: Error in connection establishment: net::ERR_SSL_VERSION_OR_CIPHER_MISMATCH",
  "nginx with auth_basic over the WebSocket's location":
    "WebSocket connection to '{url}' failed: HTTP Authentication failed; no valid credentials available",
  "nginx with deny all":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 403",
  "nginx that hands the backend's name on as Host, before an application that compares it with Origin":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 403",
  "nginx with right lines, before an application that refuses everybody itself (403), and --backend":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 403",
  "s3-location.conf, at a path that it does not match":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 404",
  "s4-read-timeout.conf, at /websocket without the slash":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 301",
  "HAProxy with http-request del-header Upgrade":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 404",
  "HAProxy whose server nobody runs (503)":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 503",
  "HAProxy before a program that never answers (504)":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 504",
  "HAProxy with http-request deny (403)":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 403",
  "HAProxy with TLS, and ws:// to its port: it hangs up":
    "WebSocket connection to '{url}' failed: Connection closed before receiving a handshake response",
  "HAProxy with accept-proxy on its bind line, and nobody who sends the PROXY header":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: net::ERR_CONNECTION_RESET",
  "Caddy with header_up that takes Upgrade away":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 404",
  "Caddy without a route for the path (404, empty)":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 404",
  "Caddy before a port on which nobody listens (502)":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 502",
  "Caddy with TLS, and ws:// to its port (400)":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 400",
  "nginx that says that this version of the interface is gone (return 410)":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 410",
  "Apache with mod_proxy_http and a plain ProxyPass":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 404",
  "Apache with mod_proxy_wstunnel loaded, and a ProxyPass that says http:// alone":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 426",
  "Apache whose ProxyPass of / stands before the one with upgrade=websocket":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 404",
  "Apache without a ProxyPass for the path: its own 404":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 404",
  "Apache with a ProxyPass to ws:// and no module for that scheme (500)":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 500",
  "Apache before a port on which nobody listens (503)":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 503",
  "Apache before a program that never answers: after ProxyTimeout it says 502, not 504":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 502",
  "Apache before a program that hangs up on the handshake (502)":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 502",
  "Apache with TLS, and ws:// to its port (400)":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 400",
  "a backend that answers everything with 400":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 400",
  "a backend that answers handshakes with 400 and pages with 200":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 400",
  "a backend that answers with 403":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 403",
  "a backend that answers with 404, though the WebSocket is one folder up":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 400",
  "a backend that answers with 426":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 426",
  "a backend that answers with 500":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 500",
  "a backend that answers with 429":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 429",
  "Socket.IO without its parameters in the query":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 400",
  "101 with the accept key of another handshake":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Incorrect 'Sec-WebSocket-Accept' header value",
  "101 without an accept key":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: 'Sec-WebSocket-Accept' header is missing",
  "101 without Upgrade":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: 'Upgrade' header is missing",
  "101 without Connection":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: 'Connection' header is missing",
  "101 with a subprotocol that nobody asked for":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Response must not include 'Sec-WebSocket-Protocol' header if not present in request: chat",
  "a server of another protocol":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: net::ERR_INVALID_HTTP_RESPONSE",
  "text in the tunnel where frames should be": "WebSocket connection to '{url}' failed: Invalid frame header",
  "a server that masks its frames":
    "WebSocket connection to '{url}' failed: A server must not mask any frames that it sends to the client.",
  "a server that compresses without having agreed on it":
    "WebSocket connection to '{url}' failed: One or more reserved bits are on: reserved1 = 1, reserved2 = 0, reserved3 = 0",
  "a server that answers handshakes with a page (200)":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 200",
  "a hop that strips Upgrade, before a healthy server":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 404",
  "a hop that takes Upgrade out of the answer":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: 'Upgrade' header is missing",
  "a device that reads HTTP and resets what has Upgrade in it (layer 7), with --layer4":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: net::ERR_CONNECTION_RESET",
  "a device that resets every connection (layer 4), with --layer4":
    "WebSocket connection to '{url}' failed: Error during WebSocket handshake: net::ERR_CONNECTION_RESET",
  "wss:// to a program that speaks ws, by IP address and port":
    "WebSocket connection to '{url}' failed: Error in connection establishment: net::ERR_SSL_PROTOCOL_ERROR",
  "the same by name":
    "WebSocket connection to '{url}' failed: Error in connection establishment: net::ERR_SSL_PROTOCOL_ERROR",
  "wss:// to a port of another protocol (SSH)":
    "WebSocket connection to '{url}' failed: Error in connection establishment: net::ERR_SSL_PROTOCOL_ERROR",
  "ws:// to a Node server with TLS":
    "WebSocket connection to '{url}' failed: Connection closed before receiving a handshake response",
  "a server that does not send its intermediate certificate":
    "WebSocket connection to '{url}' failed: Error in connection establishment: net::ERR_CERT_AUTHORITY_INVALID",
  "a self-signed certificate":
    "WebSocket connection to '{url}' failed: Error in connection establishment: net::ERR_CERT_AUTHORITY_INVALID",
  "a chain that ends in an authority of the company's own":
    "WebSocket connection to '{url}' failed: Error in connection establishment: net::ERR_CERT_AUTHORITY_INVALID",
  "a closed port":
    "WebSocket connection to '{url}' failed: Error in connection establishment: net::ERR_CONNECTION_REFUSED",
  "443 closed: wss:// to a port on which nobody listens":
    "WebSocket connection to '{url}' failed: Error in connection establishment: net::ERR_CONNECTION_REFUSED",
  "a URL with a fragment":
    "Failed to construct 'WebSocket': The URL contains a fragment identifier ('room'). Fragment identifiers are not allowed in WebSocket URLs.",
  "a URL whose scheme is ftp":
    "Failed to construct 'WebSocket': The URL's scheme must be either 'http', 'https', 'ws', or 'wss'. 'ftp' is not allowed.",
  "a port that browsers refuse (6000)":
    "WebSocket connection to '{url}' failed: Error in connection establishment: net::ERR_UNSAFE_PORT",
};
