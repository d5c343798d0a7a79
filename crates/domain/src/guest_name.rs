//! Generated names for guests who did not choose one.

use protocol::UserName;

const TEAS: [&str; 24] = [
    "Oolong",
    "Pu-erh",
    "Longjing",
    "Biluochun",
    "Keemun",
    "Sencha",
    "Gyokuro",
    "Matcha",
    "Hojicha",
    "Genmaicha",
    "Assam",
    "Darjeeling",
    "Nilgiri",
    "Ceylon",
    "Earl Grey",
    "Lapsang",
    "Dianhong",
    "Tieguanyin",
    "Dahongpao",
    "Silver Needle",
    "White Peony",
    "Jasmine",
    "Rooibos",
    "Masala Chai",
];

const CHINESE_TEAS: [&str; 24] = [
    "乌龙",
    "普洱",
    "龙井",
    "碧螺春",
    "祁红",
    "毛尖",
    "毛峰",
    "瓜片",
    "猴魁",
    "白毫银针",
    "白牡丹",
    "寿眉",
    "铁观音",
    "大红袍",
    "肉桂",
    "水仙",
    "单丛",
    "滇红",
    "正山小种",
    "金骏眉",
    "茉莉花茶",
    "君山银针",
    "六堡",
    "茯砖",
];

/// Two digits, 10 to 99, distinguish a handful of guests. Names need not be unique; ids are.
const NUMBERS: u64 = 90;

/// A kind of tea and a number, both determined by `random`.
#[must_use]
pub fn generate_guest_name(random: u64, chinese: bool) -> UserName {
    let teas = if chinese { &CHINESE_TEAS } else { &TEAS };
    let tea = teas[(random / NUMBERS % teas.len() as u64) as usize];
    // `every_generated_name_is_valid` tries every combination.
    UserName::new(&format!("{tea} {}", 10 + random % NUMBERS)).expect("every generated name is valid")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_generated_name_is_valid() {
        for chinese in [false, true] {
            let names: BTreeSet<String> =
                (0..24 * NUMBERS).map(|random| generate_guest_name(random, chinese).to_string()).collect();
            assert_eq!(names.len(), 24 * NUMBERS as usize);
        }
    }

    #[test]
    fn guest_name_is_determined_by_the_random_number() {
        assert_eq!(generate_guest_name(32, false).as_str(), "Oolong 42");
        assert_eq!(generate_guest_name(32, true).as_str(), "乌龙 42");
        assert!(generate_guest_name(u64::MAX, false).as_str().len() > 3);
    }
}
