// What can go wrong, in words: from the conditions of XEP-0124 17.2, RFC 6120 4.9.3 and 6.5 to a title and a hint.

/**
 * A problem is {title, text, final, reach}. *final*: trying again would not help, so the page goes back to the login.
 * *reach*: the transport itself failed, so automatic mode tries the other one.
 */
const problem = (title, text, { final = false, reach = false } = {}) => ({ title, text, final, reach });

const SASL_FAILURES = {
  "not-authorized": ["Wrong user name or password", "The server did not accept them. Check both and try again."],
  "account-disabled": ["This account is disabled", "Ask whoever runs the server to enable it."],
  "credentials-expired": ["This password has expired", "Set a new one where the account was made."],
  "encryption-required": ["The server wants an encrypted connection", "Open this page with https:// and try again."],
  "temporary-auth-failure": ["The server cannot check passwords right now", "Try again in a moment."],
};

/** SASL or resource binding failed. */
export function loginProblem(element) {
  if (element?.localName === "failure") {
    const condition = element.firstElementChild?.localName ?? "not-authorized";
    const [title, text] = SASL_FAILURES[condition] ?? ["The server refused the login", `It said: ${condition}.`];
    return problem(title, text, { final: true });
  }
  if (element) {
    const condition = element.querySelector("error > *")?.localName ?? "no reason given";
    return problem("The server refused this session", `It said: ${condition}.`, { final: true });
  }
  return problem(
    "The server could not prove who it is",
    "Its answer did not fit your password, so the login was stopped.",
    { final: true },
  );
}

const hostUnknown = (domain, served) =>
  problem(
    `No server for “${domain}” here`,
    served.length ? `This gateway serves ${served.join(", ")}.` : "This gateway does not serve that domain.",
    { final: true },
  );

const CONDITIONS = {
  "host-unknown": hostUnknown,
  "improper-addressing": hostUnknown,
  "remote-connection-failed": (domain) =>
    problem(
      `The XMPP server for ${domain} cannot be reached`,
      "The gateway is up, but the server behind it does not answer. Is it running?",
    ),
  "system-shutdown": () => problem("The server is shutting down", "It may be back in a moment."),
  "item-not-found": () => problem("The session is gone", "The gateway no longer knows it, perhaps after a restart."),
  conflict: () =>
    problem("Logged in somewhere else", "The same session was opened in another place, so this one ended.", {
      final: true,
    }),
  "policy-violation": () =>
    problem("The server ended the session", "Something sent was against its limits.", { final: true }),
  "not-authorized": () => problem("The server ended the session", "It said: not-authorized.", { final: true }),
  "bad-request": () => problem("The gateway did not understand a request", "It said: bad-request.", { final: true }),
  "no-auth-mech": () =>
    problem("No way to log in", "The server offers no login method that this page knows.", { final: true }),
};

/** The stream or the BOSH session ended with *condition*. */
export function streamProblem(condition, { domain, served }) {
  const known = CONDITIONS[condition];
  if (known) return known(domain, served);
  if (condition) return problem("The server ended the connection", `It said: ${condition}.`);
  return lostProblem();
}

/** Nobody answers at *url*. */
export function unreachableProblem(transport, url) {
  return problem(
    "The gateway cannot be reached",
    `No ${transport} connection to ${url}. Is the gateway running, and does the network let you through?`,
    { reach: true },
  );
}

/** Automatic mode has tried everything. */
export function nothingWorksProblem(url) {
  return problem(
    "The gateway cannot be reached",
    `Neither WebSocket nor BOSH gets through to ${new URL(url).host}. Is the gateway running?`,
  );
}

/** It took too long. */
export function timeoutProblem(transport) {
  return problem("No answer in time", `The ${transport} connection was not ready soon enough.`, { reach: true });
}

/** An open connection ended without a word. */
export function lostProblem() {
  return problem("Connection lost", "The connection to the gateway was cut.");
}

const DELIVERY = {
  "service-unavailable": "Not delivered: nobody is there to receive it",
  "recipient-unavailable": "Not delivered: nobody is there to receive it",
  "item-not-found": "Not delivered: no such account",
  "remote-server-not-found": "Not delivered: that server cannot be found",
  "jid-malformed": "Not delivered: that is not a valid address",
};

/** Why a message came back. */
export function deliveryProblem(condition) {
  return DELIVERY[condition] ?? `Not delivered: ${condition}`;
}
