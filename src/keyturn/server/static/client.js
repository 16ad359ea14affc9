// Opens Keyturn's own browser client, which does everything with tokens; this page's scripts hold no rule of that.

const { auth, accessHeader } = document.body.dataset;

/** Where the endpoints are. */
export const url = new URL(auth, document.baseURI).href;

const { createAuth } = await import(`${url}/keyturn.js`);

/** Make a client with these options beside those of this server. */
export const openAuth = (options = {}) => createAuth({ url, accessHeader, ...options });
