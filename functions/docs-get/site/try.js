// Shows the operations of one API with Swagger UI, and sends requests with the pasted token. The
// token is only in the field of the page: neither storage nor address ever contains it.
"use strict";
(() => {
  const api = document.getElementById("api");
  const token = document.getElementById("token");
  const state = document.getElementById("token-state");
  document.getElementById("settings").addEventListener("submit", (event) => event.preventDefault());

  // describe returns what the claims of the token say about its use.
  const describe = (value) => {
    if (!value) return "No token: the API responds with 401.";
    try {
      const payload = value.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
      const claims = JSON.parse(atob(payload));
      const end = new Date(claims.exp * 1000);
      const scope = claims.scope ? " Scopes: " + claims.scope + "." : "";
      return (end > new Date() ? "The token is valid until " : "The token expired at ") + end.toLocaleTimeString() + "." + scope;
    } catch {
      return "This is not an access token: a token has three parts with a dot between them.";
    }
  };
  const current = () => token.value.trim().replace(/^Bearer\s+/i, "");
  token.addEventListener("input", () => { state.textContent = describe(current()); });

  const open = () => {
    SwaggerUIBundle({
      url: api.value + ".json",
      dom_id: "#try",
      docExpansion: "list",
      defaultModelsExpandDepth: -1,
      tryItOutEnabled: true,
      syntaxHighlight: false,
      validatorUrl: null,
      persistAuthorization: false,
      presets: [SwaggerUIBundle.presets.apis],
      // The field of the page replaces the dialog for credentials.
      plugins: [{ wrapComponents: { authorizeBtn: () => () => null, authorizeOperationBtn: () => () => null, InfoContainer: () => () => null } }],
      requestInterceptor: (request) => {
        if (!request.loadSpec && current()) request.headers.Authorization = "Bearer " + current();
        return request;
      },
    });
  };
  api.addEventListener("change", open);
  open();

  // Swagger UI names few of its fields. Each gets the name of its row or its section.
  const name = (field) => {
    const row = field.closest("tr");
    if (row?.querySelector(".parameter__name")) return row.querySelector(".parameter__name").firstChild.textContent;
    if (field.closest(".body-param__text, .body-param")) return "Request body";
    if (field.closest(".content-type-wrapper, .body-param-content-type")) return "Content type of the request";
    if (field.closest(".response-controls, .response-control-media-type")) return "Media type of the response";
    if (field.closest(".examples-select")) return "Example";
    if (field.closest(".servers")) return "Server";
    return "Value";
  };
  const label = () => {
    for (const field of document.querySelectorAll("#try :is(select, input, textarea):not([aria-label])")) {
      if (![...field.labels].some((l) => l.textContent.replace(field.textContent, "").trim())) field.setAttribute("aria-label", name(field));
    }
    for (const code of document.querySelectorAll("#try pre:not([tabindex])")) code.setAttribute("tabindex", "0");
  };
  new MutationObserver(label).observe(document.getElementById("try"), { childList: true, subtree: true });
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const colours = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
  dark.addEventListener("change", colours);
  colours();
})();
