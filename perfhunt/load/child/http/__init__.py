"""An HTTP/1.1 client on the event loop's io watchers: no greenlet, no string work per request."""
