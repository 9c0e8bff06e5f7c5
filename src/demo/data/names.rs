//! Names of people, and what else depends on where they live: telephone numbers, plates, cars.
//!
//! Addresses of mail are at domains that are reserved for examples (RFC 2606), so that nobody is ever written to.
//!
//! Invariants:
//! 1. The local part of a mail address is ASCII.

use super::random::Random;

/// Whose names people have, and whose plates their cars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Culture {
    American,
    Hispanic,
    German,
    French,
    Italian,
    Polish,
    Indian,
    Singaporean,
    Indonesian,
    Thai,
}

/// Given names and family names.
struct Names {
    given: &'static [&'static str],
    family: &'static [&'static str],
}

#[rustfmt::skip]
static AMERICAN: Names = Names {
    given: &[
        "James", "Mary", "Robert", "Patricia", "John", "Jennifer", "Michael", "Linda", "David", "Elizabeth",
        "William", "Barbara", "Joseph", "Susan", "Thomas", "Jessica", "Marcus", "Aaliyah", "Tyrone",
        "Imani", "Kevin", "Grace", "Ethan", "Olivia", "Noah", "Emma", "Liam", "Sophia", "Siobhan", "Zoë",
    ],
    family: &[
        "Smith", "Johnson", "Williams", "Brown", "Jones", "Miller", "Davis", "Wilson", "Anderson", "Taylor",
        "Moore", "Jackson", "Lee", "Thompson", "White", "Harris", "Clark", "Lewis", "Robinson", "Walker",
        "O'Brien", "Kim", "Nguyen", "Washington", "Cohen", "Murphy", "Kelly", "Chen", "Patel", "Novak",
    ],
};
#[rustfmt::skip]
static HISPANIC: Names = Names {
    given: &[
        "José", "María", "Luis", "Carmen", "Carlos", "Ana", "Juan", "Sofía", "Miguel", "Lucía", "Jesús",
        "Valentina", "Pedro", "Isabel", "Diego", "Camila", "Andrés", "Elena", "Javier", "Paula",
    ],
    family: &[
        "García", "Rodríguez", "Martínez", "Hernández", "López", "González", "Pérez", "Sánchez", "Ramírez",
        "Torres", "Flores", "Rivera", "Gómez", "Díaz", "Reyes", "Morales", "Ortiz", "Castillo", "Muñoz",
        "Núñez",
    ],
};
#[rustfmt::skip]
static GERMAN: Names = Names {
    given: &[
        "Lukas", "Anna", "Leon", "Lena", "Jürgen", "Katharina", "Jonas", "Laura", "Felix", "Julia",
        "Maximilian", "Sabine", "Stefan", "Käthe", "Björn", "Ursula", "Emre", "Elif", "Moritz", "Greta",
    ],
    family: &[
        "Müller", "Schmidt", "Schneider", "Fischer", "Weber", "Meyer", "Wagner", "Becker", "Schulz",
        "Hoffmann", "Schäfer", "Koch", "Bauer", "Richter", "Klein", "Wolf", "Schröder", "Neumann", "Yılmaz",
        "Groß",
    ],
};
#[rustfmt::skip]
static FRENCH: Names = Names {
    given: &[
        "Gabriel", "Camille", "Louis", "Chloé", "Hugo", "Manon", "François", "Léa", "Théo", "Élodie",
        "Antoine", "Inès", "Mehdi", "Amina", "Pierre", "Juliette", "Benoît", "Aurélie",
    ],
    family: &[
        "Martin", "Bernard", "Dubois", "Thomas", "Robert", "Petit", "Durand", "Leroy", "Moreau", "Lefèvre",
        "Garnier", "Benali", "Diallo", "Mercier", "Gauthier", "Chevalier", "Rousseau", "Lemaître",
    ],
};
#[rustfmt::skip]
static ITALIAN: Names = Names {
    given: &[
        "Francesco", "Giulia", "Alessandro", "Martina", "Lorenzo", "Chiara", "Matteo", "Sara", "Andrea",
        "Giorgia", "Davide", "Alice", "Niccolò", "Beatrice",
    ],
    family: &[
        "Rossi", "Russo", "Ferrari", "Esposito", "Bianchi", "Romano", "Colombo", "Ricci", "Marino", "Greco",
        "Bruno", "Gallo", "Conti", "D'Angelo",
    ],
};
#[rustfmt::skip]
static POLISH: Names = Names {
    given: &[
        "Jakub", "Zuzanna", "Szymon", "Julia", "Łukasz", "Małgorzata", "Piotr", "Agnieszka", "Michał",
        "Katarzyna", "Tomasz", "Ewa", "Paweł", "Oliwia",
    ],
    family: &[
        "Nowak", "Wójcik", "Kowalczyk", "Woźniak", "Mazur", "Krawczyk", "Kaczmarek", "Zając", "Król",
        "Wróbel", "Dudek", "Pawlak", "Walczak", "Gąsior",
    ],
};
#[rustfmt::skip]
static INDIAN: Names = Names {
    given: &[
        "Aarav", "Ananya", "Vivaan", "Diya", "Aditya", "Ishita", "Arjun", "Priya", "Rohan", "Sneha",
        "Rahul", "Kavya", "Vikram", "Meera", "Imran", "Fatima", "Harpreet", "Simran", "Karthik", "Lakshmi",
        "Suresh", "Deepika", "Sanjay", "Pooja",
    ],
    family: &[
        "Sharma", "Verma", "Patel", "Gupta", "Singh", "Kumar", "Reddy", "Nair", "Iyer", "Rao", "Joshi",
        "Mehta", "Desai", "Kulkarni", "Chatterjee", "Banerjee", "Khan", "Shaikh", "Kaur", "Pillai", "Menon",
        "Bose",
    ],
};
#[rustfmt::skip]
static SINGAPOREAN: Names = Names {
    given: &[
        "Wei Ming", "Hui Ling", "Jia Hao", "Xin Yi", "Zhi Wei", "Mei Ling", "Nurul", "Ahmad", "Siti",
        "Ravi", "Shanti", "Daniel", "Rachel", "Jun Jie",
    ],
    family: &[
        "Tan", "Lim", "Lee", "Ng", "Ong", "Wong", "Goh", "Chua", "Chan", "Koh", "Teo", "Ang", "Raj",
        "Ismail",
    ],
};
#[rustfmt::skip]
static INDONESIAN: Names = Names {
    given: &[
        "Budi", "Siti", "Agus", "Dewi", "Eko", "Sri", "Rizky", "Putri", "Andi", "Ayu", "Bayu", "Indah",
        "Joko", "Wulan",
    ],
    family: &[
        "Santoso", "Wijaya", "Saputra", "Lestari", "Hidayat", "Setiawan", "Kusuma", "Pratama", "Nugroho",
        "Rahayu", "Siregar", "Simanjuntak",
    ],
};
#[rustfmt::skip]
static THAI: Names = Names {
    given: &[
        "Somchai", "Malee", "Anan", "Kanya", "Chai", "Ploy", "Niran", "Suda", "Prasert", "Nok", "Krit",
        "Dao",
    ],
    family: &[
        "Saetang", "Srisai", "Chaiyasit", "Wongsakul", "Thongchai", "Rattanakorn", "Boonmee", "Sukjai",
        "Suwannarat", "Phromma",
    ],
};

const MAIL_DOMAINS: [&str; 3] = ["example.com", "example.net", "example.org"];

impl Culture {
    fn names(self) -> &'static Names {
        match self {
            Self::American => &AMERICAN,
            Self::Hispanic => &HISPANIC,
            Self::German => &GERMAN,
            Self::French => &FRENCH,
            Self::Italian => &ITALIAN,
            Self::Polish => &POLISH,
            Self::Indian => &INDIAN,
            Self::Singaporean => &SINGAPOREAN,
            Self::Indonesian => &INDONESIAN,
            Self::Thai => &THAI,
        }
    }

    /// A full name and a mail address that goes with it; `row` keeps addresses apart.
    pub fn name_and_email(self, row: u64, random: &mut Random) -> (String, String) {
        let names = self.names();
        let (given, family) = (*random.pick(names.given), *random.pick(names.family));
        let domain = random.pick(&MAIL_DOMAINS);
        (format!("{given} {family}"), format!("{}.{}{row}@{domain}", ascii(given), ascii(family)))
    }

    /// A number of the country's form, in a range that is not given to anybody where the country has one.
    pub fn phone(self, random: &mut Random) -> String {
        let mut digits =
            |count: u32| format!("{:0width$}", random.below(10u64.pow(count)), width = count as usize);
        match self {
            Self::American | Self::Hispanic => format!("+1 2{} 555 01{}", digits(2), digits(2)),
            Self::German => format!("+49 30 23125 {}", digits(3)),
            Self::French => format!("+33 1 99 00 {} {}", digits(2), digits(2)),
            Self::Italian => format!("+39 02 {} {}", digits(4), digits(4)),
            Self::Polish => format!("+48 22 {} {} {}", digits(3), digits(2), digits(2)),
            Self::Indian => format!("+91 9{} {}", digits(4), digits(5)),
            Self::Singaporean => format!("+65 8{} {}", digits(3), digits(4)),
            Self::Indonesian => format!("+62 812 {} {}", digits(4), digits(4)),
            Self::Thai => format!("+66 8{} {} {}", digits(1), digits(3), digits(4)),
        }
    }

    /// The plate of a car, in the form of the country.
    pub fn license_plate(self, random: &mut Random) -> String {
        let mut plate = String::new();
        for c in self.plate_form().chars() {
            plate.push(match c {
                'A' => *random.pick(b"ABCDEFGHJKLMNPRSTUVWXYZ") as char,
                '0' => *random.pick(b"0123456789") as char,
                '1' => *random.pick(b"123456789") as char,
                other => other,
            });
        }
        plate
    }

    fn plate_form(self) -> &'static str {
        match self {
            Self::American => "AAA-0000",
            Self::Hispanic => "1AAA000",
            Self::German => "A-AA 1000",
            Self::French => "AA-000-AA",
            Self::Italian => "AA 000 AA",
            Self::Polish => "AA 00000",
            Self::Indian => "AA 10 AA 0000",
            Self::Singaporean => "SAA 1000 A",
            Self::Indonesian => "A 1000 AAA",
            Self::Thai => "1AA 1000",
        }
    }
}

/// A name as it is spelt in a mail address.
fn ascii(name: &str) -> String {
    let fold = |c: char| match c.to_lowercase().next().unwrap_or(c) {
        'á' | 'à' | 'â' | 'ą' => "a",
        'ä' => "ae",
        'ç' | 'ć' => "c",
        'é' | 'è' | 'ê' | 'ë' | 'ę' => "e",
        'í' | 'î' | 'ı' => "i",
        'ł' => "l",
        'ñ' | 'ń' => "n",
        'ó' | 'ò' | 'ô' => "o",
        'ö' => "oe",
        'ß' => "ss",
        'ś' => "s",
        'ú' | 'û' => "u",
        'ü' => "ue",
        'ź' | 'ż' => "z",
        _ => "",
    };
    let mut folded = String::new();
    for c in name.chars() {
        if c.is_ascii_alphabetic() {
            folded.push(c.to_ascii_lowercase());
        } else {
            folded.push_str(fold(c));
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Culture; 10] = [
        Culture::American,
        Culture::Hispanic,
        Culture::German,
        Culture::French,
        Culture::Italian,
        Culture::Polish,
        Culture::Indian,
        Culture::Singaporean,
        Culture::Indonesian,
        Culture::Thai,
    ];

    #[test]
    fn no_letter_of_a_name_is_lost_in_its_mail_address() {
        for culture in ALL {
            let names = culture.names();
            for name in names.given.iter().chain(names.family) {
                let letters = name.chars().filter(|c| c.is_alphabetic()).count();
                let spelt = ascii(name);
                assert!(spelt.is_ascii() && spelt.len() >= letters, "{name} {spelt}");
            }
        }
    }

    #[test]
    fn people_have_numbers_and_plates() {
        let mut random = Random::for_row(1, 1, 1);
        for culture in ALL {
            assert!(culture.phone(&mut random).starts_with('+'));
            let plate = culture.license_plate(&mut random);
            assert!(plate.len() <= 20 && plate.chars().any(|c| c.is_ascii_digit()), "{plate}");
        }
    }
}
