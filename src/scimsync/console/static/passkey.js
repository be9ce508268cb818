"use strict";
// A form that wants a passkey: what the browser is to be asked is fetched, what it answers is sent with the form.
for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!window.PublicKeyCredential || !PublicKeyCredential.parseCreationOptionsFromJSON) continue;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    if (form.elements.credential.value) return;
    event.preventDefault();
    const told = form.querySelector("[role=status]");
    told.textContent = "";
    try {
      const csrf = form.elements.csrf ? { "x-csrf-token": form.elements.csrf.value } : {};
      const answer = await fetch(form.dataset.passkey, { method: "POST", headers: csrf });
      if (!answer.ok) throw new Error("The console did not answer as it should. Load this page again.");
      const asked = await answer.json();
      const made = form.dataset.kind === "make"
        ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(asked) })
        : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(asked) });
      form.elements.credential.value = JSON.stringify(made.toJSON());
      form.submit();
    } catch (error) {
      told.textContent = error.name === "Error" ? error.message : "The browser gave no passkey: " + error.message;
    }
  });
}
