"""WordPress (Debian `wordpress`) on PHP's own web server, with a MariaDB of its own."""

import os
import shutil
from pathlib import Path

from mariadb import MariaDB
from server import Server, execute, install_packages

SHIPPED = Path("/usr/share/wordpress")
# Three pages.
USERS = 230

CONFIG = """<?php
define('DB_NAME', 'wordpress');
define('DB_USER', 'root');
define('DB_PASSWORD', '');
define('DB_HOST', 'localhost:{socket}');
define('WP_HOME', '{url}');
define('WP_SITEURL', '{url}');
// Application passwords need https elsewhere.
define('WP_ENVIRONMENT_TYPE', 'local');
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('DISABLE_WP_CRON', true);
$table_prefix = 'wp_';
if (!defined('ABSPATH')) define('ABSPATH', __DIR__ . '/');
require_once ABSPATH . 'wp-settings.php';
"""

INSTALL = """
define('WP_INSTALLING', true);
require 'wp-load.php';
require 'wp-admin/includes/upgrade.php';
wp_install('Trial', 'root', 'root@example.org', true, '', 'correct horse');
update_option('permalink_structure', '/%postname%/');
"""

POPULATE = """
$roles = ['subscriber', 'editor', 'author', 'contributor'];
for ($i = 0; $i < USERS; $i++) {
    $user = ['user_login' => "user-$i", 'user_email' => "user-$i@example.org", 'user_pass' => 'correct horse'];
    $user['role'] = $i % 50 == 0 ? 'administrator' : $roles[$i % 4];
    if ($i % 3) $user['display_name'] = "The user $i";
    wp_insert_user($user);
}
// Two roles, and none.
get_user_by('login', 'user-1')->add_role('administrator');
get_user_by('login', 'user-2')->set_role('');
wp_insert_user(['user_login' => 'muster', 'user_pass' => 'correct horse', 'role' => 'administrator',
    'user_email' => 'muster@example.org']);
"""


class WordPress(Server):
    key = key_of_test = "wordpress"
    # It can only delete accounts, not switch them off.
    steps = ("demoted", "deleted")

    def install(self):
        install_packages("wordpress", "php-cli", "php-mysql", *MariaDB.PACKAGES)

    def prepare(self):
        self.app = self.data / "app"
        shutil.copytree(SHIPPED, self.app, ignore_dangling_symlinks=True)
        self.database = MariaDB(self, "wordpress")
        (self.app / "wp-config.php").write_text(CONFIG.format(socket=self.database.socket, url=self.url))
        self.database.create()
        self.php(INSTALL)
        self.stop()

    def start(self):
        self.database.start()
        # Without this, it answers one request at a time.
        environment = os.environ | {"PHP_CLI_SERVER_WORKERS": "4"}
        process = self.start_process(["php", "-S", self.url.removeprefix("http://"), "-t", self.app], environment)
        process.wait_for(f"{self.url}/wp-login.php")

    def populate(self):
        self.wordpress(POPULATE.replace("USERS", str(USERS)))

    def credential(self):
        made = self.wordpress(
            "$made = WP_Application_Passwords::create_new_application_password("
            "get_user_by('login', 'muster')->ID, ['name' => 'Muster ' . microtime()]); echo $made[0];"
        )
        return {"url": self.url, "username": "muster", "password": made.strip()}

    def revoke(self):
        muster = "get_user_by('login', 'muster')->ID"
        self.wordpress(f"WP_Application_Passwords::delete_all_application_passwords({muster});")

    def demoted(self):
        self.wordpress("get_user_by('login', 'user-50')->set_role('author');")

    def deleted(self):
        self.wordpress("require 'wp-admin/includes/user.php'; wp_delete_user(get_user_by('login', 'user-7')->ID);")

    def truth(self):
        users = {}
        for user, email, name, roles in self.database.read(
            "SELECT ID, user_email, display_name, meta_value FROM wp_users JOIN wp_usermeta ON user_id = ID"
            " WHERE meta_key = 'wp_capabilities'"
        ):
            users[user] = {
                "email": email,
                "displayName": name,
                "status": "ACTIVE",
                "isAdmin": '"administrator"' in roles,
                "mfaEnabled": None,
                "lastActiveAt": None,
            }
        return users

    def wordpress(self, code):
        return self.php(f"require 'wp-load.php'; {code}")

    def php(self, code):
        return execute(["php", "-r", code], cwd=self.app)
