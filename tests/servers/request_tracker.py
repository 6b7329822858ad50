"""Request Tracker (Debian `request-tracker5`), with its SQLite database."""

import os
from pathlib import Path

from server import Server, execute, install_packages, read_sqlite

SHIPPED = Path("/usr/share/request-tracker5")
# Two pages; each costs a request of its own.
USERS = 120

CONFIG = """
Set($rtname, 'trial');
Set($Organization, 'example.org');
Set($WebDomain, '127.0.0.1');
Set($WebPort, {port});
Set($WebPath, '');
Set($DatabaseType, 'SQLite');
Set($DatabaseName, '{data}/rt.db');
Set($LogToSyslog, undef);
Set($LogToSTDERR, 'warning');
Set($MailCommand, 'testfile');
1;
"""

POPULATE = """
my $staff = RT::Group->new(RT->SystemUser);
$staff->CreateUserDefinedGroup(Name => 'Staff');
my $managers = RT::Group->new(RT->SystemUser);
$managers->CreateUserDefinedGroup(Name => 'Managers');
$staff->AddMember($managers->id);
sub person {
    my ($name, %more) = @_;
    my $user = RT::User->new(RT->SystemUser);
    my ($made, $message) = $user->Create(Name => $name, EmailAddress => "$name\\@example.org", Privileged => 1, %more);
    die $message unless $made;
    return $user;
}
for my $number (0 .. USERS - 1) {
    my $user = person("user-$number", $number % 3 ? (RealName => "The user $number") : ());
    ($number % 10 ? $staff : $managers)->AddMember($user->id);
    $user->SetDisabled(1) if $number % 20 == 1;
}
# Who only writes to RT is no member.
person("customer-$_", Privileged => 0) for 0 .. 9;
my $muster = person('muster');
for ([AdminUsers => RT->System], [SeeGroup => $staff], [AdminGroupMembership => $staff]) {
    my ($right, $object) = @$_;
    my ($made, $message) = $muster->PrincipalObj->GrantRight(Right => $right, Object => $object);
    die $message unless $made;
}
print $staff->id;
"""


class RequestTracker(Server):
    key = key_of_test = "request-tracker"
    steps = ("disabled", "removed")

    def install(self):
        install_packages("request-tracker5", "rt5-db-sqlite", "rt5-standalone")

    def prepare(self):
        config = self.data / "RT_SiteConfig.pm"
        config.write_text(CONFIG.format(data=self.data, port=self.port))
        # Nothing of /etc.
        self.environment = os.environ | {"RT_SITE_CONFIG": str(config), "RT_SITE_CONFIG_DIR": str(self.data / "none")}
        execute(["rt-setup-database-5", "--action", "init", "--skip-create"], self.environment)

    def start(self):
        process = self.start_process(
            [SHIPPED / "libexec/rt-server", "--host", "127.0.0.1", "--port", self.port], self.environment
        )
        process.wait_for(f"{self.url}/REST/2.0/rt")

    def populate(self):
        self.group = self.perl(POPULATE.replace("USERS", str(USERS)))

    def credential(self):
        token = self.perl(
            "my ($made, $message, $token) = RT::AuthToken->new(RT->SystemUser)->Create("
            "Owner => $named->('muster')->id, Description => 'Muster'); die $message unless $made; print $token;"
        )
        return {"url": self.url, "group": self.group, "token": token}

    def revoke(self):
        self.perl(
            "my $tokens = RT::AuthTokens->new(RT->SystemUser); $tokens->UnLimit;"
            " while (my $token = $tokens->Next) { $token->Delete }"
        )

    def disabled(self):
        self.perl("$named->('user-7')->SetDisabled(1);")

    def removed(self):
        staff = f"my $staff = RT::Group->new(RT->SystemUser); $staff->Load({self.group});"
        self.perl(f"{staff} $staff->DeleteMember($named->('user-8')->id);")

    def truth(self):
        users = {}
        for user, name, real_name, email, disabled in read_sqlite(
            self.data / "rt.db",
            "SELECT DISTINCT u.id, u.Name, u.RealName, u.EmailAddress, p.Disabled FROM Users u"
            " JOIN Principals p ON p.id = u.id JOIN CachedGroupMembers m ON m.MemberId = u.id"
            f" WHERE m.GroupId = {self.group} AND m.Disabled = 0",
        ):
            users[str(user)] = {
                "email": email,
                "displayName": real_name or name,
                "status": "SUSPENDED" if disabled else "ACTIVE",
                "isAdmin": None,
                "mfaEnabled": None,
                "lastActiveAt": None,
            }
        return users

    def perl(self, code):
        setup = "require RT::AuthToken; require RT::AuthTokens;"
        setup += "my $named = sub { my $user = RT::User->new(RT->SystemUser); $user->Load($_[0]); $user };"
        return execute(["perl", f"-I{SHIPPED / 'lib'}", "-MRT=-init", "-e", setup + code], self.environment)
