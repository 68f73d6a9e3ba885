/** What `wsgate -h` prints. */
export const HELP: string = `Usage: wsgate [-?hvVtTq] [-s signal] [-p prefix] [-e filename] [-c filename] [-g directives]

       wsgate [address:]port upstream [--tls] [--cert FILE --key FILE] [--print]
       wsgate demo [--http PORT] [--https PORT]
       wsgate lint [--fix] FILE...
       wsgate explain URL [-c filename]
       wsgate doctor wss://host/path [--help]

Options:
  -?,-h         : this help
  -v            : show version and exit
  -V            : show version and what it runs on, then exit
  -t            : test configuration and exit
  -T            : test configuration, dump it and exit
  -q            : suppress non-error messages during configuration testing
  -s signal     : send signal to the main process: stop, quit, reopen, reload, and drain: ends
                  all tunnels within websocket_drain, and refuses new ones until a reload; all else goes on
  -p prefix     : set prefix path (default: the folder of the configuration, or its parent if that is called conf)
  -e filename   : set error log file (default: stderr)
  -c filename   : set configuration file (default: conf/nginx.conf or nginx.conf below the prefix)
  -g directives : set global directives out of configuration file
`;
