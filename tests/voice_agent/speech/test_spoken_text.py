"""Written text comes out as a person would say it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_agent.speech.spoken_text import as_spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("It costs $4.95.", "It costs four dollars and ninety-five cents."),
        ("$1,299 all in", "one thousand two hundred and ninety-nine dollars all in"),
        ("$1,299.50", "one thousand two hundred and ninety-nine dollars and fifty cents"),
        ("only $0.50", "only fifty cents"),
        ("$1", "one dollar"),
        ("£1.01", "one pound and one penny"),
        ("€5.50", "five euros and fifty cents"),
        ("between $5-$10", "between five to ten dollars"),
        ("$5–10 each", "five to ten dollars each"),
        ("$2.5 million", "two point five million dollars"),
        ("a -$5 refund", "a minus five dollars refund"),
        ("20 USD", "twenty dollars"),
        ("99¢", "ninety-nine cents"),
        ("$9.99/month", "nine dollars and ninety-nine cents per month"),
        ("5% off", "five percent off"),
        ("12.5% off", "twelve point five percent off"),
        ("10–15% off", "ten to fifteen percent off"),
        ("9:30 am to 5 pm", "nine thirty AM to five PM"),
        ("Open 9am–5pm, Mon–Fri.", "Open nine AM to five PM, Monday to Friday."),
        ("9:00–17:30", "nine AM to five thirty PM"),
        ("10 a.m. to 8 p.m. on Friday.", "ten AM to eight PM on Friday."),
        ("11 a.m. to 6 p.m., local time", "eleven AM to six PM, local time"),
        ("From 9 a.m. to 5 p.m. We rest.", "From nine AM to five PM. We rest."),
        ("Closed at 5 p.m. on Monday.", "Closed at five PM on Monday."),
        ("We close at 5 p.m.", "We close at five PM."),
        ("3pm. Then we go", "three PM. Then we go"),
        ("at 09:05", "at nine oh five"),
        ("at 17:00", "at five PM"),
        ("at 9:00", "at nine o'clock"),
        ("12:30pm-1:30pm", "twelve thirty PM to one thirty PM"),
        ("open 24/7", "open twenty-four seven"),
        ("2026-11-21", "November twenty-first, twenty twenty-six"),
        ("November 21, 2026", "November twenty-first, twenty twenty-six"),
        ("Nov 3", "November third"),
        ("21 November 2026", "the twenty-first of November twenty twenty-six"),
        ("3rd of May", "the third of May"),
        ("Dec 24–26", "December twenty-fourth to twenty-sixth"),
        ("12/25/2026", "December twenty-fifth, twenty twenty-six"),
        ("31/12/2026", "December thirty-first, twenty twenty-six"),
        ("May 2027", "May twenty twenty-seven"),
        ("Since 2019, 2,000 people", "Since twenty nineteen, two thousand people"),
        ("in 1999 and by 2030", "in nineteen ninety-nine and by twenty thirty"),
        ("order A-1042", "order A, one zero four two"),
        ("Your order FH-20391 is late.", "Your order F H, two zero three nine one is late."),
        ("order number 20391", "order number two zero three nine one"),
        ("order 1042", "order one zero four two"),
        ("code AB12CD", "code A, B, one two, C D"),
        ("INV2024-001", "I N V, two zero two four, zero zero one"),
        ("account 12345678", "account one two three four, five six seven eight"),
        ("ticket #881", "ticket eight eight one"),
        ("5G", "five G"),
        ("call 0800 123 456", "call zero eight zero zero, one two three, four five six"),
        ("call (555) 010-0199", "call five five five, zero one zero, zero one nine nine"),
        ("+1 555 010 0199", "plus one, five five five, zero one zero, zero one nine nine"),
        ("1-800-555-0100", "one, eight zero zero, five five five, zero one zero zero"),
        ("dial 555-0199", "dial five five five, zero one nine nine"),
        ("help@fernhill-home.com now.", "help at fernhill dash home dot com now."),
        ("https://www.fernhill.example/returns?x=1.", "fernhill dot example slash returns."),
        ("www.x.com/help", "x dot com slash help"),
        ("on fernhill.com.", "on fernhill dot com."),
        ("see a_b@x.org", "see a underscore b at x dot org"),
        ("10kg and 1 kg", "ten kilograms and one kilogram"),
        ("5 in stock", "five in stock"),
        ("24in wide", "twenty-four inches wide"),
        ("3 lbs", "three pounds"),
        ("5-10 kg", "five to ten kilograms"),
        ("120 x 60 x 75 cm", "one hundred and twenty by sixty by seventy-five centimeters"),
        ("a 10 x 5 inches tray", "a ten by five inches tray"),
        ("20°C", "twenty degrees Celsius"),
        ("10 Mbps", "ten megabits per second"),
        ("50 m²", "fifty square meters"),
        ("3 sq ft", "three square feet"),
        ("5'10\" tall", "five foot ten tall"),
        ("2 hrs", "two hours"),
        ("3–5 days", "three to five days"),
        ("3-5 days", "three to five days"),
        ("3 to 5 days", "three to five days"),
        ("1st, 2nd and 21st", "first, second and twenty-first"),
        ("the 30th", "the thirtieth"),
        ("30-day returns", "thirty day returns"),
        ("a 2-seater", "a two seater"),
        ("and/or chat", "and or chat"),
        ("1/2 price", "one half price"),
        ("2 1/2 hours", "two and a half hours"),
        ("½ cup", "one half cup"),
        ("1½ hours", "one and a half hours"),
        ("Dr. Jones, Main St. or St. Mary's", "Doctor Jones, Main Street or Saint Mary's"),
        ("fruit, e.g. apples, etc.", "fruit, for example apples, and so on."),
        ("i.e. now", "that is now"),
        ("No. 5 is best.", "Number five is best."),
        ("No. It is not.", "No. It is not."),
        ("Tom & Jerry Ltd. won", "Tom and Jerry Limited won"),
        ("approx. 5", "approximately five"),
        ("**Bold** and *italic* and `code`", "Bold and italic and code"),
        ("# Heading", "Heading."),
        ("- one item", "one item."),
        ("1. Open the app", "first, Open the app."),
        ("[our page](https://x.com/y) is good", "our page is good"),
        ("<b>big</b> news", "big news"),
        ("see <https://x.com>", "see x dot com"),
        ("version 1.2.3", "version one point two point three"),
        ("pi is 3.14", "pi is three point one four"),
        ("1,299 items", "one thousand two hundred and ninety-nine items"),
        ("agent 007", "agent zero zero seven"),
        ("1234567890", "one two three, four five six, seven eight nine zero"),
        ("-5 degrees", "minus five degrees"),
        ("~20 people", "about twenty people"),
        ("5+ years", "five or more years"),
        ("≥3 items", "at least three items"),
        ("it is 100.", "it is one hundred."),
        ("covid-19", "covid nineteen"),
        ("iPhone15", "iPhone fifteen"),
        ("Sorry 😀 — that’s “fine” (really)...", "Sorry, that's fine, really."),
        ("red/blue", "red or blue"),
        ("a = b + c", "a equals b plus c"),
    ],
)
def test_text_is_said_as_a_person_would(written: str, spoken: str) -> None:
    assert as_spoken(written) == spoken


def test_markdown_lines_become_sentences() -> None:
    written = "## Returns\n- Keep the box\n- Ring us\n\n1. Open the app\n2. Tap **Send**"
    assert as_spoken(written) == (
        "Returns. Keep the box. Ring us. first, Open the app. second, Tap Send."
    )


@pytest.mark.parametrize("written", ["", "   ", "...", "**", "😀", "---", "_ _", "()", '"'])
def test_nothing_sayable_is_nothing_to_say(written: str) -> None:
    assert as_spoken(written) == ""


@pytest.mark.parametrize(
    "written",
    ["We deliver to Leeds and York.", "It's ready, isn't it?", "Naïve café orders", "Wait - what"],
)
def test_plain_words_keep_their_letters(written: str) -> None:
    assert re.sub(r"[\W_]", "", as_spoken(written)) == re.sub(r"[\W_]", "", written)


def test_a_number_nobody_says_is_spelled() -> None:
    assert as_spoken("1" * 400 + "th").startswith("one one one, one one one")
    assert as_spoken("$" + "9" * 400).startswith("nine nine nine")


@given(
    st.text(
        alphabet=st.sampled_from("0123456789aAbmpFk $£€%.,:;/-–()[]#*_@+xX'\"°&\n"), max_size=120
    )
)
def test_no_digit_or_symbol_is_left_for_the_synthesiser(written: str) -> None:
    assert not re.search(r"[0-9$£€%/()\[\]#*_@+\"°&\n–]", as_spoken(written))


@given(st.text(max_size=300))
def test_any_text_is_survived_and_words_stay_words(written: str) -> None:
    spoken = as_spoken(written)
    assert as_spoken(spoken) == as_spoken(as_spoken(spoken))
    assert spoken == spoken.strip()
