/** The lines of a healthy location of WebSockets, for the examples of rules that are about something else. */
export const UPGRADE_LINES: string = `    proxy_http_version 1.1;
    proxy_set_header Upgrade    $http_upgrade;
    proxy_set_header Connection "upgrade";`;

/** The same for a location inside a server, one level deeper. */
export const UPGRADE_LINES_DEEPER: string = UPGRADE_LINES.replaceAll(/^/gm, "    ");
