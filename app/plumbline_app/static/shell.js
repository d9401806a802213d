// What every page does by itself: theme, person, and noticing that the server went away or came back.
(() => {
  const YEAR_S = 31536000;
  const POLL_MS = 3000;
  const POLL_OFFLINE_MS = 700;
  const OUT_OF_STEP_MS = 10000;

  const remember = (name, value) => {
    document.cookie = `${name}=${value}; path=/; max-age=${YEAR_S}; SameSite=Lax`;
  };

  const root = document.documentElement;
  document.getElementById("pl-theme").addEventListener("click", () => {
    const theme = root.dataset.theme === "dark" ? "light" : "dark";
    remember("plumbline_theme", theme);
    if (document.body.dataset.themesLive === "yes") {
      root.dataset.theme = theme;
      window.dispatchEvent(new Event("plumbline-theme"));
    } else {
      location.reload();
    }
  });

  const who = document.getElementById("pl-who");
  const field = document.getElementById("pl-who-name");
  // With a login the name is the account's, and there is nothing to choose.
  if (who) {
    document.getElementById("pl-person").addEventListener("click", () => {
      who.showModal();
      field.select();
    });
    who.querySelector("[value=cancel]").addEventListener("click", () => who.close("cancel"));
    who.querySelector("form").addEventListener("submit", () => {
      const name = field.value.trim();
      if (!name) return;
      remember("plumbline_person", encodeURIComponent(name));
      location.reload();
    });
  }

  const banner = document.getElementById("pl-offline");
  const instance = document.body.dataset.instance;
  let offline = false;
  let sessionLost = false;
  let timer = 0;

  const show = (text) => {
    banner.textContent = text;
    banner.hidden = !text;
  };

  async function check() {
    clearTimeout(timer);
    try {
      const answer = await fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(4000) });
      const health = await answer.json();
      if (health.started !== instance || sessionLost) return location.reload();
      offline = false;
      show("");
    } catch {
      offline = true;
      show("The server does not answer. What you see is kept; this page goes on by itself when it is back.");
    }
    timer = setTimeout(check, offline ? POLL_OFFLINE_MS : POLL_MS);
  }
  timer = setTimeout(check, POLL_MS);
  addEventListener("online", check);
  document.addEventListener("visibilitychange", () => document.hidden || check());

  // A page whose connection is gone shows old figures: it is loaded again as soon as the server answers.
  const watch = setInterval(() => {
    const [page] = window.Bokeh?.documents ?? [];
    if (!page) return;
    clearInterval(watch);
    page.on_event("connection_lost", () => {
      sessionLost = true;
      setTimeout(check, 200);
    });
  }, 200);

  // An update may speak of a part of the page that a later update, which came first, has taken away. It cannot be
  // shown, so the page is asked for whole: what is on it is in its address. Twice in a row is an error to be seen.
  addEventListener("error", (event) => {
    const last = Number(sessionStorage.getItem("plumbline-out-of-step") ?? 0);
    if (!/reference .+ isn't known/.test(event.message) || Date.now() - last < OUT_OF_STEP_MS) return;
    event.preventDefault();
    sessionStorage.setItem("plumbline-out-of-step", String(Date.now()));
    sessionLost = true;
    check();
  });
})();
