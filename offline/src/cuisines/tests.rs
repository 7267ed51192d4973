use super::*;
use crate::tables::Merchant;
use proptest::prelude::*;

fn merchant(id: &str, chain: Option<&str>, cuisines: &str) -> Merchant {
    let cuisines = cuisines.split(';').filter(|label| !label.is_empty()).map(str::to_owned).collect();
    Merchant { merchant_id: id.into(), chain_id: chain.map(Into::into), cuisines, ..Merchant::default() }
}

/// Two kitchens that share nobody, each label with the next two of its own.
fn two_kitchens() -> Vec<Merchant> {
    let kitchens = [["sushi", "ramen", "udon", "tempura", "soba"], ["burger", "fries", "hot_dog", "milkshake", "wrap"]];
    let menus = kitchens.iter().flat_map(|kitchen| {
        (0..15).map(move |i| [kitchen[i % 5], kitchen[(i + 1) % 5], kitchen[(i + 2) % 5]].join(";"))
    });
    menus.enumerate().map(|(i, menu)| merchant(&format!("m{i:02}"), None, &menu)).collect()
}

#[test]
fn two_kitchens_are_two_clusters() {
    let map = fit(&two_kitchens(), &FitOptions::default()).unwrap();
    assert_eq!(map.n_clusters, 2);
    let cluster = |label: &str| map.weights(map.id(label).unwrap())[0].0;
    for label in ["ramen", "udon", "tempura", "soba"] {
        assert_eq!(cluster(label), cluster("sushi"), "{label}");
    }
    for label in ["fries", "hot_dog", "milkshake", "wrap"] {
        assert_eq!(cluster(label), cluster("burger"), "{label}");
    }
    assert_ne!(cluster("sushi"), cluster("burger"));
    let alike = &map.similarity[usize::from(map.id("sushi").unwrap())];
    assert_eq!(alike[0], (map.id("sushi").unwrap(), 1.0));
    assert_eq!(alike.len(), 5, "nobody serves sushi and burgers: {alike:?}");
}

#[test]
fn a_chain_of_many_outlets_counts_once() {
    let mut merchants = two_kitchens();
    merchants.push(merchant("x", Some("chain"), "sushi;burger"));
    let one = fit(&merchants, &FitOptions::default()).unwrap();
    merchants.extend((0..50).map(|i| merchant(&format!("x{i}"), Some("chain"), "sushi;burger")));
    let many = fit(&merchants, &FitOptions::default()).unwrap();
    assert_eq!((&one.weights, &one.similarity, &one.merchants), (&many.weights, &many.similarity, &many.merchants));
}

#[test]
fn a_label_that_is_never_beside_another_goes_to_its_parent_or_nowhere() {
    let mut merchants = two_kitchens();
    merchants.push(merchant("a", None, "Yakitori"));
    merchants.push(merchant("b", None, "japanese;sushi"));
    merchants.push(merchant("c", None, "klingon"));
    let map = fit(&merchants, &FitOptions::default()).unwrap();
    let (yakitori, japanese) = (map.id("yakitori").unwrap(), map.id("japanese").unwrap());
    assert_eq!(map.parents.get("yakitori").map(String::as_str), Some("japanese"));
    assert_eq!(map.weights(yakitori), map.weights(japanese));
    let likeness = map.similarity[usize::from(yakitori)].iter().find(|(id, _)| *id == japanese);
    assert_eq!(likeness, Some(&(japanese, 0.8)));
    assert_eq!(map.unplaced, ["klingon"]);
    assert_eq!(map.weights(map.id("klingon").unwrap()), []);
    assert_eq!(map.unknown.get("klingon"), Some(&1.0));
}

#[test]
fn a_map_survives_the_file_and_a_contradiction_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cuisine-map.json");
    let options = FitOptions { simulated: Some("simulated for a test".into()), ..FitOptions::default() };
    let map = fit(&two_kitchens(), &options).unwrap();
    map.write(&path).unwrap();
    let read = CuisineMap::read(&path).unwrap();
    assert_eq!(read, map);
    assert_eq!(read.fingerprint(), map.fingerprint());

    let mut broken = map.clone();
    broken.weights[3] = vec![(0, 200), (9, 55)];
    broken.write(&path).unwrap();
    let error = CuisineMap::read(&path).unwrap_err().to_string();
    let expected = "cuisine-map.json: weights: found [(0, 200), (9, 55)], expected up to 3 of 2 clusters, in all 255";
    assert!(error.ends_with(expected), "{error}");
    assert_ne!(broken.fingerprint(), map.fingerprint());
}

#[test]
fn merchants_without_company_make_a_map_without_clusters() {
    for merchants in [vec![], vec![merchant("a", None, "pizza")], vec![merchant("a", None, "")]] {
        let map = fit(&merchants, &FitOptions::default()).unwrap();
        assert_eq!((map.n_clusters, map.unplaced.len()), (0, map.labels.len()));
        assert_eq!(map.blend(&map.ids(&["pizza".into()])), []);
    }
}

#[test]
fn a_merchant_blends_the_clusters_of_its_labels() {
    let map = fit(&two_kitchens(), &FitOptions::default()).unwrap();
    let blend = map.blend(&map.ids(&["sushi".into(), "Burgers".into(), "nowhere".into()]));
    assert_eq!(blend.iter().map(|(_, share)| u32::from(*share)).sum::<u32>(), 255);
    assert!(blend.iter().all(|(_, share)| (127..=128).contains(share)), "{blend:?}");
    let total: f64 = map.project(&vec![1.0; map.labels.len()]).iter().sum();
    assert!((total - map.labels.len() as f64).abs() < 1e-12, "a projection keeps what is placed");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_merchants_in_any_order_make_one_map_without_contradiction(
        menus in prop::collection::vec((prop::collection::vec(0_usize..14, 0..4), prop::option::of(0_u8..5)), 0..40),
        rotate in 0_usize..40,
    ) {
        let words = ["pizza", "pasta", "sushi", "ramen", "kebab", "taco", "burrito", "cake", "tea", "x1", "x2", "x3", "x4", "vegan"];
        let mut merchants: Vec<Merchant> = menus.iter().enumerate().map(|(i, (menu, chain))| {
            let cuisines: Vec<&str> = menu.iter().map(|word| words[*word]).collect();
            merchant(&format!("m{i}"), chain.map(|c| format!("c{c}")).as_deref(), &cuisines.join(";"))
        }).collect();
        let options = FitOptions { n_starts: 8, ..FitOptions::default() };
        let map = fit(&merchants, &options).unwrap();
        prop_assert_eq!(map.contradiction(), None);
        prop_assert!(map.n_clusters <= 2);
        if !merchants.is_empty() {
            let n = merchants.len();
            merchants.rotate_left(rotate % n);
        }
        prop_assert_eq!(fit(&merchants, &options).unwrap(), map);
    }
}

/// Reads a column of Ottawa's cuisines and brands; the file has no quoted fields with line breaks.
fn ottawa() -> Option<Vec<Merchant>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/osm/ottawa.csv");
    let mut rows = csv::Reader::from_path(path).ok()?;
    let rows = rows.records().map(|row| {
        let row = row.unwrap();
        merchant(&row[1], Some(&row[5]).filter(|brand| !brand.is_empty()), &row[4])
    });
    Some(rows.collect())
}

#[test]
#[allow(clippy::print_stderr, reason = "a skip must be visible, and the map is there to be looked at")]
fn real_cuisines_of_ottawa_keep_their_company() {
    let Some(merchants) = ottawa() else {
        eprintln!("skipped: ../shared/data/osm/ottawa.csv is not here");
        return;
    };
    let map = fit(&merchants, &FitOptions::default()).unwrap();
    for cluster in map.show() {
        let labels: Vec<String> =
            cluster.labels.iter().take(9).map(|(label, share)| format!("{label} {share:.2}")).collect();
        eprintln!("{:2} {:7.1} {}", cluster.cluster, cluster.merchants, labels.join(", "));
    }
    eprintln!("{} labels, tau {}, eigenvalues {:?}", map.labels.len(), map.tau, map.eigenvalues);
    eprintln!("attached {:?}\nunplaced {:?}\nunknown {:?}", map.parents, map.unplaced, map.unknown);
    assert_eq!((map.contradiction(), map.n_clusters), (None, 8));
    let alike = |a: &str, b: &str| {
        let b = map.id(b).unwrap();
        map.similarity[usize::from(map.id(a).unwrap())].iter().find(|(id, _)| *id == b).map_or(0.0, |(_, value)| *value)
    };
    let cluster = |label: &str| map.weights(map.id(label).unwrap())[0].0;
    for (a, b) in [("vietnamese", "thai"), ("noodle", "ramen"), ("burger", "hot_dog"), ("chinese", "sichuan")] {
        assert!(alike(a, b) > 0.7, "{a} and {b}: {}", alike(a, b));
        assert_eq!(cluster(a), cluster(b), "{a} and {b}");
    }
    assert_ne!(cluster("vietnamese"), cluster("burger"));
    assert_ne!(cluster("coffee"), cluster("kebab"));
}
