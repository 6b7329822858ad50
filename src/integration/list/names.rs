//! The usual names of columns, in English and some other languages.

use super::columns::Target;
use crate::user::UserField;

const EXTERNAL_ID: &[&str] = &["externalid", "id", "userid", "accountid", "uid", "benutzerid", "kontoid"];

/// The usual names of each field's column, beside those of the API and of manifests, as [`plain`] writes them.
const FIELDS: &[(UserField, &[&str])] = &[
    (
        UserField::Email,
        &["mail", "emailaddress", "primaryemail", "workemail", "mailadresse", "emailadresse", "courriel", "correo"],
    ),
    (UserField::DisplayName, &["name", "fullname", "vollername", "nom", "nombre"]),
    (UserField::Status, &["state", "accountstatus", "employmentstatus", "zustand", "statut", "estado"]),
    (UserField::IsAdmin, &["admin", "administrator"]),
    (UserField::MfaEnabled, &["mfa", "2fa", "twofactor"]),
    (UserField::Licenses, &["license", "licence", "licences", "plan", "seat", "lizenz", "lizenzen"]),
    (UserField::LastActiveAt, &["lastactive", "lastlogin", "lastsignin", "lastseen", "letzteanmeldung"]),
    (UserField::Kind, &["accounttype", "type", "typ"]),
    (UserField::Guest, &["isguest", "external", "gast", "extern"]),
    (UserField::CreatedAt, &["created", "createdon", "creationdate", "erstellt", "erstelltam"]),
    (UserField::Aliases, &["alias", "furtheraddresses", "otheremails"]),
    (UserField::SourceId, &["directoryid"]),
    (
        UserField::EmployeeId,
        &["employeenumber", "employeeno", "personnelnumber", "staffid", "personalnummer", "matricule"],
    ),
    (UserField::Department, &["dept", "abteilung", "orgunit", "departement", "departamento"]),
    (UserField::Manager, &["managerid", "manageremail", "supervisor", "reportsto", "vorgesetzter", "vorgesetzte"]),
];

/// The field of a column with this name, if the name is known.
pub(super) fn target(name: &str) -> Option<Target> {
    let name = plain(name);
    if EXTERNAL_ID.contains(&&*name) {
        return Some(Target::ExternalId);
    }
    let own = UserField::ALL.iter().copied().find(|field| plain(field.info().api_name) == name);
    let usual = || FIELDS.iter().find(|(_, names)| names.contains(&&*name)).map(|(field, _)| *field);
    own.or_else(usual).map(Target::Field)
}

pub(super) fn is_first_name(name: &str) -> bool {
    ["firstname", "givenname", "vorname", "prenom", "nombre"].contains(&&*plain(name))
}

pub(super) fn is_last_name(name: &str) -> bool {
    ["lastname", "surname", "familyname", "nachname", "apellido", "apellidos"].contains(&&*plain(name))
}

/// The letters and digits of a name, in lower case and without accents.
fn plain(name: &str) -> String {
    let simple = |letter: char| match letter {
        'á' | 'à' | 'â' => 'a',
        'é' | 'è' | 'ê' => 'e',
        other => other,
    };
    name.to_lowercase().chars().filter(|letter| letter.is_alphanumeric()).map(simple).collect()
}
