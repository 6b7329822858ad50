"""MediaWiki (Debian `mediawiki`) on PHP's own web server, with its SQLite database.

Debian has no package of the extension OAuth. A session provider in the wiki's settings stands in for it: it knows the
same kind of token, and refuses one with the same error. The list, the blocks and the groups are the wiki's own.
"""

import os
from pathlib import Path

from server import Server, execute, install_packages, read_sqlite

SHIPPED = Path("/usr/share/mediawiki")
# Two pages.
USERS = 620

SETTINGS = """
$wgGroupPermissions['*']['read'] = false;
$wgSessionProviders[] = ['class' => Bearer::class, 'args' => [['priority' => 90]]];
class Bearer extends MediaWiki\\Session\\ImmutableSessionProviderWithCookie {
    public function provideSessionInfo(WebRequest $request) {
        if (!preg_match('/^Bearer (.+)$/', $request->getHeader('Authorization'), $found)) return null;
        $known = in_array($found[1], file('DATA/tokens', FILE_IGNORE_NEW_LINES));
        if (!$known) {
            $message = new RawMessage('The authorization headers in your request are not valid');
            $message = new ApiMessage($message, 'mwoauth-invalid-authorization');
            $refusal = ApiUsageException::newWithMessage(null, $message);
            MediaWiki\\MediaWikiServices::getInstance()->getHookContainer()->register(
                'ApiBeforeMain', static function () use ($refusal) { throw $refusal; });
        }
        return new MediaWiki\\Session\\SessionInfo(MediaWiki\\Session\\SessionInfo::MAX_PRIORITY, [
            'provider' => $this,
            'id' => $this->hashToSessionId($found[1]),
            'userInfo' => $known ? MediaWiki\\Session\\UserInfo::newFromName('Muster', true)
                : MediaWiki\\Session\\UserInfo::newAnonymous(),
            'persisted' => false,
            'forceUse' => $known,
        ]);
    }
}
"""

SCRIPT = """<?php
require_once 'SHIPPED/maintenance/Maintenance.php';
class Trial extends Maintenance {
    public function execute() {
        $services = MediaWiki\\MediaWikiServices::getInstance();
        $groups = $services->getUserGroupManager();
        $named = fn($name) => $services->getUserFactory()->newFromName($name);
        $block = fn($name, $restrictions) => $services->getBlockUserFactory()->newBlockUser(
            $name, User::newSystemUser('Maintenance script', ['steal' => true]), 'infinity', '', [], $restrictions
        )->placeBlockUnsafe();
        CODE
    }
}
$maintClass = Trial::class;
require_once RUN_MAINTENANCE_IF_MAIN;
"""

POPULATE = """
for ($i = 0; $i < USERS; $i++) {
    $user = User::createNew("User $i");
    if ($i % 100 == 1) $groups->addUserToGroup($user, $i % 200 == 1 ? 'sysop' : 'bureaucrat');
    if ($i % 100 == 2) $groups->addUserToGroup($user, 'bot');
    if ($i % 100 == 3) $block("User $i", []);
}
User::createNew('Muster');
// From the articles only.
$block('User 4', [new MediaWiki\\Block\\Restriction\\NamespaceRestriction(0, NS_MAIN)]);
"""


class MediaWiki(Server):
    key = key_of_test = "mediawiki"
    # Accounts cannot be deleted.
    steps = ("demoted", "blocked")

    def install(self):
        php = [f"php-{part}" for part in ("cli", "sqlite3", "intl", "mbstring", "xml")]
        install_packages("mediawiki", "mediawiki-classes", *php)

    def prepare(self):
        settings = self.data / "LocalSettings.php"
        self.environment = os.environ | {"MW_CONFIG_FILE": str(settings), "PHP_CLI_SERVER_WORKERS": "4"}
        database = ["--dbtype", "sqlite", "--dbpath", self.data, "--dbname", "wiki"]
        address = ["--server", self.url, "--scriptpath", "", "--confpath", self.data]
        install = ["php", SHIPPED / "maintenance/install.php", *database, *address, "--pass", "correct horse battery"]
        execute([*install, "Trial", "Root"])
        settings.write_text(settings.read_text() + SETTINGS.replace("DATA", str(self.data)))
        self.credentials = 0

    def start(self):
        address = self.url.removeprefix("http://")
        process = self.start_process(["php", "-S", address, "-t", SHIPPED], self.environment)
        process.wait_for(f"{self.url}/api.php")

    def populate(self):
        self.php(POPULATE.replace("USERS", str(USERS)))

    def credential(self):
        self.credentials += 1
        token = f"token-{self.credentials}"
        (self.data / "tokens").write_text(f"{token}\n")
        return {"url": self.url, "token": token}

    def revoke(self):
        (self.data / "tokens").write_text("")

    def demoted(self):
        self.php("$groups->removeUserFromGroup($named('User 201'), 'sysop');")

    def blocked(self):
        self.php("$block('User 7', []);")

    def truth(self):
        database = self.data / "wiki.sqlite"
        groups = {}
        for user, group in read_sqlite(database, "SELECT ug_user, ug_group FROM user_groups"):
            groups.setdefault(user, set()).add(group)
        blocked = {user for (user,) in read_sqlite(database, "SELECT ipb_user FROM ipblocks WHERE ipb_sitewide = 1")}
        users = {}
        reserved = {"MediaWiki default", "Maintenance script"}
        for user, name in read_sqlite(database, "SELECT user_id, user_name FROM user"):
            # Of the type BLOB.
            name = name.decode() if isinstance(name, bytes) else name
            users[str(user)] = {
                "email": None,
                "displayName": name,
                "kind": "SERVICE" if "bot" in groups.get(user, ()) or name in reserved else "HUMAN",
                "status": "SUSPENDED" if user in blocked else "ACTIVE",
                "isAdmin": bool(groups.get(user, set()) & {"sysop", "bureaucrat"}),
                "mfaEnabled": None,
                "lastActiveAt": None,
            }
        return users

    def php(self, code):
        script = self.data / "trial.php"
        script.write_text(SCRIPT.replace("SHIPPED", str(SHIPPED)).replace("CODE", code))
        execute(["php", script], self.environment)
