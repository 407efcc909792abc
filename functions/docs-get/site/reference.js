// Renders the reference with Redoc, in the colours of the system.
"use strict";
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const fonts = {
    fontSize: "15px", fontFamily: "system-ui, sans-serif", headings: { fontFamily: "system-ui, sans-serif" },
    code: { fontFamily: "ui-monospace, monospace", wrap: false },
  };
  const light = { typography: fonts, sidebar: { width: "290px" }, colors: { primary: { main: "#0b4a83" } } };
  const night = {
    typography: { ...fonts, links: { color: "#8fc3f5", visited: "#8fc3f5", hover: "#b9dcfb" },
      code: { ...fonts.code, color: "#ffb4a2", backgroundColor: "#1f252c" } },
    sidebar: { width: "290px", backgroundColor: "#1a2026", textColor: "#e6e9ed" },
    rightPanel: { backgroundColor: "#1f252c" },
    codeBlock: { backgroundColor: "#101418" },
    schema: { nestedBackground: "#1a2026", typeNameColor: "#b3bcc7", typeTitleColor: "#b3bcc7", requireLabelColor: "#ff9d8a" },
    colors: {
      primary: { main: "#8fc3f5" }, success: { main: "#6fd08c" }, error: { main: "#ff9d8a" },
      gray: { 50: "#1a2026", 100: "#1f252c" },
      text: { primary: "#e6e9ed", secondary: "#b3bcc7" }, border: { dark: "#3d4650", light: "#3d4650" },
      responses: {
        success: { color: "#6fd08c", backgroundColor: "#16271c" }, error: { color: "#ff9d8a", backgroundColor: "#2c1a17" },
        redirect: { color: "#f1c75b", backgroundColor: "#2a2415" }, info: { color: "#8fc3f5", backgroundColor: "#16222e" },
      },
    },
  };
  const place = document.getElementById("reference");
  const render = () => Redoc.init("reference.json", {
    downloadUrls: [{ title: "openapi.yaml", url: "openapi.yaml" }],
    requiredPropsFirst: true, expandResponses: "200,201", pathInMiddlePanel: true,
    theme: dark.matches ? night : light,
  }, place, (error) => {
    const status = document.getElementById("loading");
    if (error) {
      status.textContent = "The reference could not be loaded: " + error.message;
      return;
    }
    status.remove();
  });
  dark.addEventListener("change", () => location.reload());
  // Long lines can be scrolled with the keyboard.
  new MutationObserver(() => {
    for (const code of place.querySelectorAll("pre:not([tabindex])")) code.setAttribute("tabindex", "0");
  }).observe(place, { childList: true, subtree: true });
  render();
})();
