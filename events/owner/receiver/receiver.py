"""The reference receiver on one page: Python 3.9 or newer, standard library only.

    TOKEN_FILE=token.txt python3 receiver.py -app nav/app2018 -dir inbox -once

README.md describes it. Without -once it runs until Ctrl-C, or until an error lasts.
"""
import argparse, base64, collections, fcntl, filecmp, hashlib, http.client, itertools, json, logging, os, re, shutil, signal, subprocess, sys, time
from urllib import error, parse, request
ERRORS = OSError, http.client.HTTPException, ValueError  # of network and disk; HTTPError is an OSError

class Unchanged(request.HTTPErrorProcessor):  # follows no redirect: the token must not reach the object store
    http_response = https_response = lambda self, _, response: response

def sync(path):  # of a file or a folder
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)

def identity(instance):  # the folder's name (each submission and each change has a later time), and what else must not change
    ids = [instance["id"]] + [element["id"] for element in instance["data"]]
    if not all(re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", i) for i in ids):  # they become parts of paths
        raise ValueError("an id in the response is invalid")
    times = [instance["workflow"]["submittedDateTime"]] + [element["lastChangedDateTime"] for element in instance["data"]]
    return re.sub("[^0-9TZ.]", "", max(times)) + "-" + ids[0], ids, instance["workflow"]["currentStep"]

def place(folder, files):  # the final path: without its blocked elements a submission is another one
    blocked = "".join(sorted(f"{file['dataElementId']} {file['code']}\n" for file in files if "code" in file))
    return folder + f"-blocked-{hashlib.sha256(blocked.encode()).hexdigest()[:8]}" * (blocked > "")

def ago(seconds):  # a time that compares with the times of the API
    return time.strftime("%FT%TZ", time.gmtime(time.time() - seconds))

def overdue(element):  # whether the malware scan has had no result for an hour
    return element.get("scan", {}).get("status") == "pending" and element["scan"]["at"] <= ago(3600)

class Receiver:
    def __init__(self, flags):
        self.base, self.app, self.dir, self.once = flags.base.rstrip("/"), flags.app, os.path.abspath(flags.dir), flags.once
        self.open, self.token = request.build_opener(Unchanged).open, ""
        self.left, self.failed, self.confirmed = {"unread"}, set(), set()  # folders; "unread": the rest of the queue
        self.files, self.stored = {}, {}  # by folder: the files on the disk, and the instance to confirm
        self.waiting, self.patience = set(), 0  # folders whose malware scan is pending; seconds that the current one may wait
        self.total, self.blocked = collections.Counter(instances=0, files=0, bytes=0), 0

    def call(self, method, link, headers={}, use=lambda response: json.loads(response.read()), body=None):
        path = parse.urlsplit(link)._replace(scheme="", netloc="").geturl()  # of our own base address
        for failures in itertools.count(1):  # every request may be repeated
            try:
                if not self.token:
                    command = 'cat "$TOKEN_FILE"' if os.environ.get("TOKEN_FILE") else os.environ.get("TOKEN_COMMAND", "false")
                    self.token = re.sub("[^!-~]", "", subprocess.run(command, shell=True, stdout=-1, text=True).stdout)
                headers = {**headers, "Authorization": "Bearer " + self.token}
                response = self.open(request.Request(self.base + path, body, headers, method=method), timeout=60)
                if response.status >= 400:
                    raise error.HTTPError(None, response.status, response.read(9999).decode(errors="replace"), response.headers, None)
                return response.headers, use(response)
            except ERRORS as e:
                status, wait = getattr(e, "code", 0), min(2 ** failures / 4, 30)
                limit = 6 if status in (0, 408, 429) or status >= 500 else 0
                if "data-unscanned" in str(e) and self.patience > 0:
                    limit = failures + 1
                if status == 401:  # the token has expired: wait some five minutes for another one
                    self.token, limit, wait = "", 2 if self.left == {"unread"} else 15, wait * (failures > 1)
                if failures >= limit:
                    raise
                if status and (e.headers["Retry-After"] or "").isdigit():
                    wait = min(int(e.headers["Retry-After"]), 300)
                self.patience -= wait
                logging.warning(f"{path.split('?')[0]}: {e}; retrying in {wait} s")
                time.sleep(wait)
                headers = {} if "feed-held-count" in str(e) else headers  # too many requests wait for events

    def save(self, response, element, folder):  # returns the description of the stored file
        name = element["id"] + "".join(re.findall(r"\.[A-Za-z0-9]{1,5}\Z", element["fileName"])).lower()  # only its extension
        digest, sha256 = response.headers["Repr-Digest"], hashlib.sha256()
        if response.status == 307:  # the object store has the content, and needs no token
            response = self.open(response.headers["Location"], timeout=60)
            if response.status != 200:
                raise OSError(f"the object store responded with {response.status}")
        with open(os.path.join(folder, name), "wb") as file:
            while chunk := response.read(1 << 20):
                file.write(chunk)
                sha256.update(chunk)
        sync(file.name)
        if digest != f"sha-256=:{base64.b64encode(sha256.digest()).decode()}:":
            raise OSError("the content does not match its digest")
        return {"dataElementId": element["id"], "file": name, "size": os.path.getsize(file.name), "sha256": sha256.hexdigest()}

    def store(self, listed, folder):  # stores a submission, unless it changes: then a later pass does
        path, part = f"/storage/instances/{int(listed['instanceOwnerId'])}/{listed['id']}", os.path.join(self.dir, ".part")
        if (files := self.files.get(folder)) is None:
            shutil.rmtree(part, ignore_errors=True)
            os.mkdir(part)
            files = [self.load(f"{path}/data/{e['id']}", e, part) for e in listed["data"]]
        headers, instance = self.call("GET", path)
        if identity(instance) == identity(listed):
            if folder not in self.files:
                self.complete(part, folder, instance, files)
            self.files[folder], self.stored[folder] = files, {**listed, "etag": headers["ETag"]}

    def load(self, path, element, part):  # returns the description of the file, or of the content that the malware scan blocks
        try:
            return self.call("GET", path, use=lambda response: self.save(response, element, part))[1]
        except ERRORS as e:
            scan = element.get("scan", {"status": "", "at": ""})
            if re.search("object store responded with 40[34]", str(e)) and (scan["status"] == "pending" or scan["at"] > ago(60)):
                raise OSError(f"data-unscanned: {e}")  # the object store may not know the result yet
            if not (code := re.search("data-(infected|unscannable)", str(e))):
                raise
            logging.warning(f"data element {element['id']} is blocked: {code[0]}")
            return {"dataElementId": element["id"], "code": code[0]}

    def complete(self, part, folder, instance, files):
        blocked, files = [file for file in files if "code" in file], [file for file in files if "file" in file]
        with open(os.path.join(part, "instance.json"), "w") as file:
            json.dump({"instance": instance, "files": files, **({"blocked": blocked} if blocked else {})}, file, indent=1)
        sync(file.name)
        sync(part)
        folder = place(folder, blocked)
        if not os.path.exists(folder):
            os.rename(part, folder)  # now the submission is complete and visible
        elif len(filecmp.cmpfiles(part, folder, [file["file"] for file in files], shallow=False)[0]) < len(files):
            raise OSError("the folder of this submission was changed; move or delete it")
        sync(self.dir)

    def fetch(self, listed, folder):
        late = [element["id"] for element in listed["data"] if overdue(element)]
        self.patience = 15 * (folder not in self.waiting and not late)  # only the first pass waits for the malware scan
        self.waiting.discard(folder)
        try:
            self.store(listed, folder)
        except ERRORS as e:
            if getattr(e, "code", 0) in (401, 403):
                raise
            if late and getattr(e, "code", 0) == 409 and "data-unscanned" in str(e):
                e = OSError(f"data element {late[0]}: the malware scan has had no result for an hour")
            if getattr(e, "code", 0) != 404:  # permanently deleted
                (self.waiting if "data-unscanned" in str(e) else self.failed).add(folder)
            logging.warning(f"{listed['id']}: left for later: {e}")

    def confirm(self):  # what is stored, at most 100 instances, in one request
        for n in itertools.takewhile(lambda _: self.stored, range(6)):
            time.sleep(2 ** n / 4 * (n > 0))
            items = [{name: instance[name] for name in ("instanceOwnerId", "id", "etag")} for instance in self.stored.values()]
            headers, body = {"Content-Type": "application/json"}, json.dumps({"instances": items}).encode()
            results = self.call("POST", "/storage/confirmDownload", headers, body=body)[1]["results"]
            for (folder, instance), result in zip(list(self.stored.items()), results):
                del self.stored[folder]
                if result["status"] == 200:
                    self.confirmed.add(folder)
                    path, files = place(folder, self.files[folder]), [file for file in self.files[folder] if "file" in file]
                    self.blocked += len(self.files.pop(folder)) - len(files)
                    self.total.update(instances=1, files=len(files), bytes=sum(file["size"] for file in files))
                    print(path, flush=True)
                    continue
                logging.warning(f"{instance['id']}: not confirmed: {result['problem']['code']}")
                if any("code" in file for file in self.files[folder]):  # a new result of the scan may have released it
                    del self.files[folder]
                if result["status"] in (404, 409, 412, 429) or result["status"] >= 500:
                    self.fetch(instance, folder)  # read it again; 412 also if the response to a confirmation was lost
                else:
                    self.failed.add(folder)
        self.failed |= self.stored.keys()
        self.stored = {}

    def fetch_all(self):  # fetches everything in the work queue that has not failed
        link = "/storage/instances?" + parse.urlencode({"appId": self.app, "downloadConfirmed": "false", "size": 100})
        self.left &= {"unread"}
        while link:
            result = self.call("GET", link)[1]
            for listed in result["_embedded"]["instances"]:
                folder = os.path.join(self.dir, identity(listed)[0])
                self.left.add(folder)
                if folder not in self.failed | self.confirmed:  # the queue may lag behind
                    self.fetch(listed, folder)
            self.confirm()
            link = result["_links"].get("next", {}).get("href")
        self.left -= self.confirmed | {"unread"}
        shutil.rmtree(os.path.join(self.dir, ".part"), ignore_errors=True)

    def run(self):
        link, wait = f"/storage/applications/{self.app}/events?after=" + ago(300), 0
        for n in range(5) if self.once else itertools.count():
            headers, _ = self.call("GET", link, {"Prefer": f"wait={wait}"})  # responds as soon as there is an event
            link, wait = re.search('<([^>]+)>; rel="next"', headers["Link"])[1], 20
            self.failed = self.failed if n % 30 else set()  # retry every 30 passes, some ten minutes
            self.fetch_all()
            if self.once and self.left <= self.failed:
                return

def main():
    flags = argparse.ArgumentParser(allow_abbrev=False)
    flags.add_argument("-base", default="http://localhost:8080", help="address of the Storage API, without a path")
    flags.add_argument("-app", required=True, help="the application, for example nav/app2018")
    flags.add_argument("-dir", default="inbox", help="folder in which the submissions are stored")
    flags.add_argument("-once", action="store_true", help="fetch everything that the work queue holds, then exit")
    receiver, status = Receiver(flags.parse_args()), 0
    logging.basicConfig(format="%(asctime)s %(message)s")
    os.umask(0o077)
    os.makedirs(receiver.dir, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        fcntl.flock(lock := open(os.path.join(receiver.dir, ".lock"), "w"), fcntl.LOCK_EX | fcntl.LOCK_NB)
        receiver.run()
    except (KeyboardInterrupt, *ERRORS) as e:
        status = 3 if getattr(e, "code", 0) in (401, 403) else int(isinstance(e, ERRORS))
        logging.warning(f"{'access denied: ' if status == 3 else ''}{str(e) or 'stopped'}")
    left = receiver.left - receiver.confirmed
    waiting = left & receiver.waiting
    total = {**receiver.total, "left": len(left - {"unread"}), "failed": len(left & receiver.failed), "waiting": len(waiting), "blocked": receiver.blocked}
    logging.warning("summary: " + " ".join(f"{name}={value}" for name, value in total.items()))
    sys.exit(status or int(len(left - waiting) > 0))

main()
